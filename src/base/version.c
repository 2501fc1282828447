#include "vkbert.h"

const char *vkb_version(void)
{
    return VKBERT_VERSION;
}

const char *vkb_commit(void)
{
    return VKBERT_COMMIT;
}
