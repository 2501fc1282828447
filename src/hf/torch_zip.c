// pytorch_model.bin of PyTorch 1.6 and later: a zip archive of NAME/data.pkl, the pickle; NAME/data/KEY,
// a storage each; NAME/byteorder. NAME is what the file was once called.
#include "hf/torch.h"

#include "hf/zip.h"

#include <stdlib.h>
#include <string.h>

// The entry FOLDER NAME; folder ends in '/'.
static vkb_status find_entry(const torch_reader *r, const hf_zip *zip, const char *folder,
                             size_t folder_bytes, const char *name, size_t name_bytes,
                             const hf_zip_entry **entry)
{
    char *whole = malloc(folder_bytes + name_bytes);
    if (!whole)
        return vkb_fail_memory(r->ctx, folder_bytes + name_bytes, "the name of an entry");
    memcpy(whole, folder, folder_bytes);
    memcpy(whole + folder_bytes, name, name_bytes);
    *entry = hf_zip_find(zip, whole, folder_bytes + name_bytes);
    free(whole);
    return VKB_OK;
}

static vkb_status place_zip_storages(torch_reader *r, const hf_zip *zip, const char *folder,
                                     size_t folder_bytes)
{
    vkb_status status = VKB_OK;
    for (size_t i = 0; i < r->pickle.storages.count && status == VKB_OK; i++) {
        pickle_storage *storage = &r->pickle.storages.at[i];
        const hf_zip_entry *entry = NULL;
        status = find_entry(r, zip, folder, folder_bytes, storage->key.is.text, storage->key.bytes,
                            &entry);
        if (status != VKB_OK)
            return status;
        if (!entry)
            return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: storage %s is missing", r->path,
                            torch_shown(storage->key).text);
        storage->data = entry->data;
        status = torch_check_storage(r, storage, entry->bytes);
    }
    return status;
}

// The one entry NAME/data.pkl.
static vkb_status find_pickle(const torch_reader *r, const hf_zip *zip, const hf_zip_entry **found)
{
    static const char name[] = "/data.pkl";
    const size_t tail = sizeof(name) - 1;
    *found = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const hf_zip_entry *entry = &zip->entries[i];
        if (entry->name_bytes <= tail ||
            memcmp(entry->name + entry->name_bytes - tail, name, tail) != 0)
            continue;
        if (*found)
            return vkb_fail(r->ctx, VKB_BAD_FILE, "%s: has two data.pkl, expected one", r->path);
        *found = entry;
    }
    if (!*found)
        return vkb_fail(r->ctx, VKB_BAD_FILE,
                        "%s: is a zip archive without data.pkl, not a file of torch.save", r->path);
    return VKB_OK;
}

vkb_status torch_read_zip(torch_reader *r)
{
    static const char order[] = "byteorder", data[] = "data/", little[] = "little";
    hf_zip zip = {0};
    const hf_zip_entry *entry = NULL, *byteorder = NULL;
    const uint8_t *next;
    char *folder = NULL;
    vkb_status status;
    BASE_TRY(hf_zip_open(r->ctx, r->path, r->map, &zip));
    BASE_TRY(find_pickle(r, &zip, &entry));
    const size_t stem = entry->name_bytes - strlen("data.pkl");
    BASE_TRY(find_entry(r, &zip, entry->name, stem, order, strlen(order), &byteorder));
    if (byteorder && (byteorder->bytes != strlen(little) ||
                      memcmp(byteorder->data, little, byteorder->bytes) != 0)) {
        status = torch_big_endian(r);
        goto cleanup;
    }
    BASE_TRY(pickle_read(&r->pickle, entry->data, entry->data + entry->bytes, &r->root, &next));
    folder = malloc(stem + strlen(data));
    if (!folder) {
        status = vkb_fail_memory(r->ctx, stem, "the name of an entry");
        goto cleanup;
    }
    memcpy(folder, entry->name, stem);
    memcpy(folder + stem, data, strlen(data));
    status = place_zip_storages(r, &zip, folder, stem + strlen(data));
cleanup:
    free(folder);
    hf_zip_close(&zip);
    return status;
}
