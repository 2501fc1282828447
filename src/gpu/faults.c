// Faults of drivers, made for tests: a kernel that does not build, gives nothing, hangs, or takes the
// device or the process with it. See gpu_test_break.
#include "gpu/internal.h"

#include <signal.h>

void gpu_test_break(vkb_device *dev, gpu_test_fault fault, gpu_kernel kernel, uint32_t constant,
                    uint32_t value)
{
    dev->broken.fault = fault;
    dev->broken.kernel = kernel;
    dev->broken.constant = constant;
    dev->broken.value = value;
}

gpu_test_fault gpu_fault_of(const vkb_device *dev, gpu_kernel kernel, const uint32_t *spec,
                            uint32_t spec_count)
{
    const bool meant = dev->broken.fault != GPU_TEST_NONE && dev->broken.kernel == kernel &&
                       dev->broken.constant < spec_count &&
                       spec[dev->broken.constant] == dev->broken.value;
    return meant ? dev->broken.fault : GPU_TEST_NONE;
}

bool gpu_fault_on_submit(vkb_device *dev, gpu_test_fault fault, VkResult *result)
{
    if (fault == GPU_TEST_ENDS)
        raise(SIGKILL);
    if (fault == GPU_TEST_LOST)
        *result = VK_ERROR_DEVICE_LOST;
    (void)dev;
    return fault == GPU_TEST_LOST || fault == GPU_TEST_HANGS;
}
