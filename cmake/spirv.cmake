# Kernels whose SPIR-V is committed, as shaders/spirv/NAME.h: those that KERNEL_SPIRV marks in shaders/kernels.def,
# because older compilers (Debian 12's glslang 12.0) do not know their extensions. The first line of such a file has the
# SHA-256 of its sources and the version of the compiler.
#
#   cmake -P cmake/spirv.cmake                 makes those that are missing or not current
#   cmake -DCHECK=ON -P cmake/spirv.cmake      checks that all are current; where the compiler is the very one that made
#                                              a file, that it makes the same again
# A shader whose head says "Compiled for vulkan1.3" is; all others for vulkan1.2, as below.
#
#   -DGLSLANG=PROGRAM                          the compiler [glslangValidator]; fp16 needs glslang 15, bf16 15.3
#
# Included by cmake/shaders.cmake for what both need: SHADER_FLAGS, vkbert_kernels.

# vulkan1.2: local_size_x_id compiled for 1.3 would need the maintenance4 feature.
set(SHADER_FOLDER ${CMAKE_CURRENT_LIST_DIR}/../shaders)
set(SHADER_FLAGS -V --quiet --target-env vulkan1.2 -DVKB_GLSL -I${SHADER_FOLDER})

# The kernels of kernels.def that are marked so: KERNEL, KERNEL_SPIRV, or either.
function(vkbert_kernels mark out)
  file(STRINGS ${SHADER_FOLDER}/kernels.def lines REGEX "^${mark}\\(")
  set(names "")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[A-Z_]+\\(([a-z0-9_]+),.*" "\\1" name "${line}")
    list(APPEND names ${name})
  endforeach()
  set(${out} ${names} PARENT_SCOPE)
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  return()
endif()
cmake_minimum_required(VERSION 3.22)

# Appends a file and all that it includes, each once, to FILES.
macro(add_sources file)
  if(NOT ${file} IN_LIST FILES)
    list(APPEND FILES ${file})
    file(STRINGS ${SHADER_FOLDER}/${file} includes_of_${file} REGEX "^#include \"")
    foreach(line IN LISTS includes_of_${file})
      string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" included "${line}")
      add_sources(${included})
    endforeach()
  endif()
endmacro()

function(hash_sources name out)
  set(FILES "")
  add_sources(${name}.comp)
  set(all "")
  foreach(file IN LISTS FILES)
    file(SHA256 ${SHADER_FOLDER}/${file} hash)
    string(APPEND all "${file} ${hash}\n")
  endforeach()
  string(SHA256 hash "${all}")
  set(${out} ${hash} PARENT_SCOPE)
endfunction()

function(compile name first_line out)
  set(target "")
  file(STRINGS ${SHADER_FOLDER}/${name}.comp target REGEX "^// Compiled for vulkan[0-9.]+")
  if(target)
    string(REGEX REPLACE ".*(vulkan[0-9]\\.[0-9]).*" "--target-env;\\1" target "${target}")
  endif()
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${name}.spirv.tmp)
  execute_process(COMMAND ${GLSLANG} ${SHADER_FLAGS} ${target} --vn spirv_${name} -o ${made} ${SHADER_FOLDER}/${name}.comp
                  RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  if(failed)
    message(FATAL_ERROR "${GLSLANG} (${version}) does not compile shaders/${name}.comp:\n${said}")
  endif()
  file(READ ${made} text)
  file(REMOVE ${made})
  set(${out} "${first_line}\n${text}" PARENT_SCOPE)
endfunction()

if(NOT GLSLANG)
  find_program(GLSLANG NAMES glslangValidator glslang)
endif()
set(version none)
if(GLSLANG)
  execute_process(COMMAND ${GLSLANG} --version OUTPUT_VARIABLE said)
  if(said MATCHES "Glslang Version: ([0-9:.]+)")
    set(version ${CMAKE_MATCH_1})
  endif()
endif()
vkbert_kernels(KERNEL_SPIRV kernels)
set(again 0)
foreach(name IN LISTS kernels)
  set(file ${SHADER_FOLDER}/spirv/${name}.h)
  hash_sources(${name} hash)
  set(first_line "")
  if(EXISTS ${file})
    file(STRINGS ${file} first_line LIMIT_COUNT 1)
  endif()
  set(current FALSE)
  if(first_line MATCHES "^// Sources ${hash}, glslang ")
    set(current TRUE)
  endif()
  if(CHECK AND NOT current)
    message(FATAL_ERROR "shaders/spirv/${name}.h was made from other sources than shaders/${name}.comp and what it "
                        "includes: cmake -P cmake/spirv.cmake makes it anew")
  elseif(CHECK)
    if(first_line STREQUAL "// Sources ${hash}, glslang ${version}")
      compile(${name} "${first_line}" text)
      file(READ ${file} committed)
      if(NOT committed STREQUAL text)
        message(FATAL_ERROR "shaders/spirv/${name}.h is not what glslang ${version} makes of shaders/${name}.comp")
      endif()
      math(EXPR again "${again} + 1")
    endif()
  elseif(NOT current)
    compile(${name} "// Sources ${hash}, glslang ${version}" text)
    file(WRITE ${file} "${text}")
    message(STATUS "made shaders/spirv/${name}.h")
  endif()
endforeach()
if(CHECK)
  list(LENGTH kernels count)
  message(STATUS "${count} files are current; ${again} of them made again by glslang ${version}, the same")
endif()
