// Runs a test on every Vulkan device that the loader finds, and says which.
//
//     int main(void) { return devices_run(all_tests) ? check_report() : 77; }
//
// With VKBERT_VALIDATE=1 in the environment the validation layer watches, with synchronisation
// checks: a message is a failure.
#ifndef VKB_TESTS_DEVICES_H
#define VKB_TESTS_DEVICES_H

#include "vkbert.h"

typedef void (*device_test_fn)(vkb_device *dev);

// Opens every usable device in turn, calls fn, closes it; unusable ones are printed with the reason.
// Returns how many devices fn ran on; 0, with a sentence printed, when there is none. A failure
// outside fn (a device that does not open, a validation message) exits with 1.
int devices_run(device_test_fn fn);

// Did the person ask for validation?
bool devices_validate(void);

#endif
