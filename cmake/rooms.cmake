# One object library a folder of src/, so that a test links the rooms it is about; together they are libvkbert.
# tests/arrows/arrows.sh holds the folders to the arrows that CONTRIBUTING.md draws.
set(VKBERT_COMMIT unknown)
find_package(Git QUIET)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} -c safe.directory=${CMAKE_SOURCE_DIR} describe --always --dirty --abbrev=12
                  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE VKBERT_COMMIT_FOUND
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(VKBERT_COMMIT_FOUND)
    set(VKBERT_COMMIT ${VKBERT_COMMIT_FOUND})
  endif()
endif()

function(vkbert_room name)
  cmake_parse_arguments(ROOM "" "" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.c)
  add_library(room_${name} OBJECT ${sources})
  target_include_directories(room_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  target_link_libraries(room_${name} PUBLIC ${ROOM_LIBS})
endfunction()

vkbert_room(base LIBS m Threads::Threads)
vkbert_room(hf LIBS cjson curl OpenSSL::Crypto Threads::Threads)
vkbert_room(text LIBS utf8proc cjson zlib zstd)
vkbert_room(gpu LIBS cjson ${CMAKE_DL_LIBS} Threads::Threads)
vkbert_room(ops)
vkbert_room(bert)
vkbert_room(train LIBS cjson Threads::Threads)

target_compile_definitions(room_base PRIVATE VKBERT_VERSION="${PROJECT_VERSION}" VKBERT_COMMIT="${VKBERT_COMMIT}")
target_include_directories(room_gpu SYSTEM PRIVATE ${VOLK_INCLUDE} ${VULKAN_INCLUDE})
target_include_directories(room_gpu PRIVATE ${SPIRV_DIR})
target_compile_definitions(room_gpu PRIVATE VK_NO_PROTOTYPES)
add_dependencies(room_gpu spirv)

set(ROOMS base hf text gpu ops bert train)
add_library(vkbert_library)
set_target_properties(vkbert_library PROPERTIES OUTPUT_NAME vkbert PUBLIC_HEADER include/vkbert.h)
foreach(room ${ROOMS})
  target_link_libraries(vkbert_library PRIVATE room_${room})
endforeach()
target_include_directories(vkbert_library PUBLIC ${CMAKE_SOURCE_DIR}/include)

file(GLOB CLI_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/*.c)
add_executable(vkbert_program ${CLI_SOURCES})
set_target_properties(vkbert_program PROPERTIES OUTPUT_NAME vkbert)
target_include_directories(vkbert_program PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(vkbert_program PRIVATE vkbert_library cjson m)
