// One file's way into the cache: what the hub says of it, the lock, the request, what came of it.
#ifndef VKB_HF_HUB_FILE_H
#define VKB_HF_HUB_FILE_H

#include "hf/hub_download.h"
#include "hf/hub_part.h"

typedef enum hub_file_state { HUB_FILE_WAITING, HUB_FILE_RUNNING, HUB_FILE_DONE } hub_file_state;

typedef struct hub_file {
    const hub_download *download;
    const char *name; // the list's
    char etag[HUB_ETAG_MAX + 1];
    uint64_t size;
    hub_file_state state;
    double not_before;  // when it may be tried (again)
    unsigned failures;  // in a row, without a byte between
    uint64_t failed_at; // bytes that were there then
    bool told;          // that another program holds it
    bool bad_range;     // the server sends from another byte than it was asked for
    bool from_start;    // it is fetched as a whole, for a second time
    int lock;
    hub_part part;
    hub_request request;
    vkb_status taken; // of writing the body
} hub_file;

// Asks for etag and size.
vkb_status hub_file_ask(hub_file *file);
// Begins a waiting file; it may be done at once, or still wait for its lock.
vkb_status hub_file_start(hub_file *file);
// A running file's request has ended: it is done, or waits for another try.
vkb_status hub_file_end(hub_file *file);
// Ends its request and gives up its lock; what has come stays.
void hub_file_let_go(hub_file *file);

#endif
