// What a driver's compiler says of the kernels that it built: registers, spills, instructions, by names of
// its own. Drivers that only compile, without hardware, tell the same.
#include "gpu/internal.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST_FORMS = 4, MOST_STATISTICS = 32 };

void gpu_statistics(vkb_device *dev, gpu_statistics_fn tell, void *user)
{
    dev->statistics.tell = tell;
    dev->statistics.user = user;
}

static bool is_told(const vkb_device *dev)
{
    return dev->statistics.tell && dev->physical.pipeline_statistics;
}

VkPipelineCreateFlags gpu_statistics_flags(const vkb_device *dev)
{
    return is_told(dev) ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0;
}

static void add_value(char *text, size_t size, size_t *at,
                      const VkPipelineExecutableStatisticKHR *s)
{
    char value[32];
    if (s->format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR)
        snprintf(value, sizeof(value), "%g", s->value.f64);
    else if (s->format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR)
        snprintf(value, sizeof(value), "%" PRIi64, s->value.i64);
    else
        snprintf(value, sizeof(value), "%" PRIu64, s->value.u64);
    const int more = snprintf(text + *at, size - *at, "%s %s, ", s->name, value);
    *at = more > 0 && *at + (size_t)more < size ? *at + (size_t)more : size - 1;
}

// One line: what is said of one form (a driver may build several, of other subgroup sizes).
static void add_form(vkb_device *dev, const VkPipelineExecutableInfoKHR *form, char *text,
                     size_t size, size_t *at)
{
    VkPipelineExecutableStatisticKHR list[MOST_STATISTICS];
    uint32_t count = MOST_STATISTICS;
    for (uint32_t i = 0; i < count; i++)
        list[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    if (dev->vk.vkGetPipelineExecutableStatisticsKHR(dev->handle, form, &count, list) < 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        add_value(text, size, at, &list[i]);
    if (count > 0 && *at >= 2) { // the last comma
        text[*at - 2] = '\n';
        text[--*at] = 0;
    }
}

void gpu_statistics_tell(vkb_device *dev, gpu_kernel kernel, const gpu_pipeline *pipeline)
{
    char text[4096] = "";
    size_t at = 0;
    uint32_t forms = MOST_FORMS;
    VkPipelineExecutablePropertiesKHR properties[MOST_FORMS];
    for (uint32_t i = 0; i < forms; i++)
        properties[i] = (VkPipelineExecutablePropertiesKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    if (!dev->statistics.tell)
        return;
    if (!is_told(dev) || dev->vk.vkGetPipelineExecutablePropertiesKHR(
                             dev->handle,
                             &(VkPipelineInfoKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR,
                                                  .pipeline = pipeline->handle},
                             &forms, properties) < 0)
        forms = 0;
    for (uint32_t i = 0; i < forms; i++)
        add_form(
            dev,
            &(VkPipelineExecutableInfoKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                           .pipeline = pipeline->handle,
                                           .executableIndex = i},
            text, sizeof(text), &at);
    dev->statistics.tell(dev->statistics.user, kernel, pipeline->spec, pipeline->spec_count, text);
}
