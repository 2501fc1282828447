// Which commands must wait for which: what was touched since the last barrier, as byte ranges, and
// whether something new reads what was written, or writes what was read or written.
#include "gpu/internal.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

bool gpu_hazard_found(const gpu_hazards *since, const gpu_access *touched, size_t count)
{
    for (size_t i = 0; i < since->count; i++)
        for (size_t j = 0; j < count; j++) {
            const gpu_access *before = &since->at[i], *now = &touched[j];
            if ((before->write || now->write) && before->buffer == now->buffer &&
                before->begin < now->end && now->begin < before->end)
                return true;
        }
    return false;
}

bool gpu_hazard_add(gpu_hazards *since, const gpu_access *touched, size_t count)
{
    if (!array_reserve(since, since->count + count))
        return false;
    memcpy(since->at + since->count, touched, count * sizeof(*touched));
    since->count += count;
    return true;
}
