# The libraries vkbert stands on. Each is packaged by Debian, Fedora, Arch and Homebrew; README.md names the packages.
find_package(Threads REQUIRED)

function(vkbert_find name header library)
  find_path(${name}_INCLUDE ${header})
  find_library(${name}_LIBRARY ${library})
  if(NOT ${name}_INCLUDE OR NOT ${name}_LIBRARY)
    message(FATAL_ERROR "${name} is missing (${header}, lib${library}): tools/setup.sh installs it, or see README.md")
  endif()
  add_library(${name} INTERFACE)
  target_include_directories(${name} SYSTEM INTERFACE ${${name}_INCLUDE})
  target_link_libraries(${name} INTERFACE ${${name}_LIBRARY})
endfunction()

vkbert_find(cjson cjson/cJSON.h cjson)
vkbert_find(utf8proc utf8proc.h utf8proc)
vkbert_find(zlib zlib.h z)
vkbert_find(zstd zstd.h zstd)

# volk loads the Vulkan loader at run time: vkbert starts, and says what is missing, on machines without one.
find_path(VOLK_INCLUDE volk.h PATH_SUFFIXES volk)
find_path(VULKAN_INCLUDE vulkan/vulkan.h)
find_program(GLSLANG NAMES glslangValidator glslang)
foreach(needed VOLK_INCLUDE VULKAN_INCLUDE GLSLANG)
  if(NOT ${needed})
    message(FATAL_ERROR "${needed} is missing: tools/setup.sh installs volk, the Vulkan headers and glslang, or see README.md")
  endif()
endforeach()
