// The feeder: a thread that fills slots with the next rows ahead of the device, so that it never
// waits for text.
//
//   slot   EMPTY -> (feeder fills it) -> READY -> (trainer submits it) -> SUBMITTED -> EMPTY again once the
//          device has read it
//
// The feeder touches mapped memory and the data set only; everything of Vulkan stays with the
// trainer's thread. Each slot carries the cursor behind its rows: what a checkpoint saves is the
// cursor of the last slot that was submitted, however far the feeder has read ahead.
#ifndef VKB_TRAIN_FEEDER_H
#define VKB_TRAIN_FEEDER_H

#include "train/inputs.h"

enum { TRAIN_SLOTS = 8 };

// A place in the data: `row` rows of the epoch are used; rows: of the epoch, 0 before it is begun.
typedef struct train_cursor {
    uint64_t epoch, row, rows;
} train_cursor;

typedef struct train_feeder train_feeder;

typedef struct train_feed_params {
    vkb_dataset *data;
    const train_inputs *inputs;
    vkb_mask_params mask; // complete
    uint64_t seed;
} train_feed_params;

vkb_status train_feeder_create(const train_feed_params *params, train_feeder **out);
// Stops the thread. The device must have read every slot.
void train_feeder_destroy(train_feeder **feeder);

// (Re)starts at a place of the data: what was read ahead is dropped. The device must have read
// every slot.
vkb_status train_feeder_start(train_feeder *feeder, train_cursor at);

// Has a function called before each slot is filled, on the feeder's thread; before it is started.
void train_feeder_watch(train_feeder *feeder, void (*before_fill)(void *user), void *user);
// For such a function, in tests: returns when the trainer waits for these rows, or the feeder has
// to stop.
void train_feeder_be_late(train_feeder *feeder);

// A micro-batch that is ready to be submitted.
typedef struct train_feed {
    const train_slot *slot;
    train_cursor after;
    uint64_t epoch;  // whose masks it gets
    uint64_t tokens; // without padding
    bool ends_epoch;
    bool was_late; // it was not ready when it was asked for
} train_feed;

// Waits for the next slot: for the device, when it still reads that one, then for the feeder. A
// failure of reading the rows is returned here, in their order.
vkb_status train_feeder_next(train_feeder *feeder, train_feed *feed);
// The slot that train_feeder_next gave last is read by the submission `ticket`.
void train_feeder_submitted(train_feeder *feeder, uint64_t ticket);

#endif
