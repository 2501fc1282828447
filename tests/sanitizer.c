// Linked into every program of a build with VKBERT_SANITIZE. Drivers and layers keep memory until
// the process ends, and the leak checker can neither see their pointers to it nor name them once the
// Vulkan loader has unloaded them: so nothing is unloaded.
__attribute__((visibility("default"))) int dlclose(void *library);

int dlclose(void *library)
{
    (void)library;
    return 0;
}

// The validation layer leaks even so, and is C++, which we are not: our own leaks are still found.
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:libVkLayer_khronos_validation\n"
           "leak:libstdc++\n";
}
