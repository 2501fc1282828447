# Every shaders/*.comp becomes SPIR-V, embedded in the library as `const uint32_t spirv_NAME[]`; where that is committed
# (cmake/spirv.cmake), it is not compiled.
include(spirv)
vkbert_kernels(KERNEL_SPIRV committed_kernels)
file(GLOB SHADER_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/*.comp)
file(GLOB SHADER_PIECES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/*.glsl ${CMAKE_SOURCE_DIR}/shaders/params*.h)

set(SPIRV_DIR ${CMAKE_BINARY_DIR}/spirv)
file(MAKE_DIRECTORY ${SPIRV_DIR})
set(SPIRV_HEADERS)
foreach(source ${SHADER_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  if(name IN_LIST committed_kernels)
    configure_file(${CMAKE_SOURCE_DIR}/shaders/spirv/${name}.h ${SPIRV_DIR}/${name}.h COPYONLY)
    continue()
  endif()
  set(header ${SPIRV_DIR}/${name}.h)
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${GLSLANG} ${SHADER_FLAGS} --vn spirv_${name} -o ${header} ${source}
    DEPENDS ${source} ${SHADER_PIECES}
    COMMENT "SPIR-V ${name}" VERBATIM)
  list(APPEND SPIRV_HEADERS ${header})
endforeach()
add_custom_target(spirv DEPENDS ${SPIRV_HEADERS})

# kernels_spirv.h includes the SPIR-V of every kernel in kernels.def.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/kernels.def)
vkbert_kernels("KERNEL[_A-Z]*" kernels)
set(includes "")
foreach(name ${kernels})
  string(APPEND includes "#include \"${name}.h\"\n")
endforeach()
file(CONFIGURE OUTPUT ${SPIRV_DIR}/kernels_spirv.h CONTENT "${includes}" @ONLY)
