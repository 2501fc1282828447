# Every shaders/*.comp becomes SPIR-V, embedded in the library as `const uint32_t spirv_NAME[]`.
file(GLOB SHADER_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/*.comp)
file(GLOB SHADER_PIECES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/*.glsl ${CMAKE_SOURCE_DIR}/shaders/params.h)

set(SPIRV_DIR ${CMAKE_BINARY_DIR}/spirv)
file(MAKE_DIRECTORY ${SPIRV_DIR})
set(SPIRV_HEADERS)
foreach(source ${SHADER_SOURCES})
  get_filename_component(name ${source} NAME_WE)
  set(header ${SPIRV_DIR}/${name}.h)
  # vulkan1.2: local_size_x_id compiled for 1.3 would need the maintenance4 feature.
  add_custom_command(
    OUTPUT ${header}
    COMMAND ${GLSLANG} -V --quiet --target-env vulkan1.2 -DVKB_GLSL -I${CMAKE_SOURCE_DIR}/shaders
            --vn spirv_${name} -o ${header} ${source}
    DEPENDS ${source} ${SHADER_PIECES}
    COMMENT "SPIR-V ${name}" VERBATIM)
  list(APPEND SPIRV_HEADERS ${header})
endforeach()
add_custom_target(spirv DEPENDS ${SPIRV_HEADERS})

# kernels_spirv.h includes the SPIR-V of every kernel in kernels.def.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/kernels.def)
file(STRINGS ${CMAKE_SOURCE_DIR}/shaders/kernels.def kernel_lines REGEX "^KERNEL\\(")
set(includes "")
foreach(line ${kernel_lines})
  string(REGEX REPLACE "^KERNEL\\(([a-z0-9_]+),.*" "#include \"\\1.h\"\n" line "${line}")
  string(APPEND includes "${line}")
endforeach()
file(CONFIGURE OUTPUT ${SPIRV_DIR}/kernels_spirv.h CONTENT "${includes}" @ONLY)
