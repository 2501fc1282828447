#include "train/feeder.h"

#include <pthread.h>
#include <stdlib.h>

typedef enum slot_state { EMPTY, READY, SUBMITTED } slot_state;

typedef struct feeder_slot {
    train_slot slot;
    slot_state state;
    train_feed feed;   // READY: what it holds
    vkb_status status; // READY: why it could not be filled
    uint64_t ticket;   // SUBMITTED
} feeder_slot;

struct train_feeder {
    train_feed_params params;
    void (*before_fill)(void *user);
    void *user;
    feeder_slot slots[TRAIN_SLOTS];
    pthread_mutex_t lock; // of the states, of stop, asked and at
    pthread_cond_t changed;
    pthread_t thread;
    bool running, stop;
    bool asked;         // the trainer waits for rows
    train_cursor at;    // of the next rows to be read
    uint64_t next_fill; // counted on, modulo TRAIN_SLOTS; the feeder's
    uint64_t next_take; // the trainer's
};

// ---- The feeder's thread ----

// Makes sure that there are rows at f->at: goes on to the next epoch when this one is used up.
static vkb_status epoch_begin(train_feeder *f)
{
    const train_feed_params *p = &f->params;
    while (!f->at.rows || f->at.row >= f->at.rows) {
        const uint64_t epoch = f->at.epoch + (f->at.rows != 0);
        if (f->at.rows)
            f->at = (train_cursor){.epoch = epoch};
        vkb_status status =
            dataset_begin_epoch(p->data, train_mask_epoch(&p->mask, epoch), &f->at.rows);
        if (status != VKB_OK)
            return status;
        if (!f->at.rows)
            return vkb_fail(dataset_context(p->data), VKB_BAD_FILE, "epoch %llu has no rows",
                            (unsigned long long)epoch);
    }
    return VKB_OK;
}

// Fills a slot with the rows at f->at, and moves it behind them.
static vkb_status fill(train_feeder *f, feeder_slot *slot)
{
    const train_feed_params *p = &f->params;
    vkb_status status = VKB_OK;
    uint32_t used = 0;
    BASE_TRY(epoch_begin(f));
    const uint64_t mask_epoch = train_mask_epoch(&p->mask, f->at.epoch);
    const train_rows rows = {
        .data = p->data,
        .rows = f->at.rows,
        .first = f->at.row,
        .shuffled = true,
        .seed = p->seed,
        .epoch = f->at.epoch,
    };
    slot->feed = (train_feed){.slot = &slot->slot, .epoch = mask_epoch};
    BASE_TRY(train_slot_fill(p->inputs, &slot->slot, &rows, &used, &slot->feed.tokens));
    f->at.row += used;
    slot->feed.after = f->at;
    slot->feed.ends_epoch = f->at.row >= f->at.rows;
cleanup:
    return status;
}

static void *feeder_run(void *feeder_)
{
    train_feeder *f = feeder_;
    vkb_status status = VKB_OK;
    pthread_mutex_lock(&f->lock);
    while (!f->stop && status == VKB_OK) {
        feeder_slot *slot = &f->slots[f->next_fill % TRAIN_SLOTS];
        if (slot->state != EMPTY) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        pthread_mutex_unlock(&f->lock);
        if (f->before_fill)
            f->before_fill(f->user);
        status = fill(f, slot);
        pthread_mutex_lock(&f->lock);
        slot->status = status;
        slot->state = READY;
        f->asked = false;
        f->next_fill++;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void feeder_stop(train_feeder *f)
{
    if (!f->running)
        return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    f->running = false;
}

// ---- The trainer's side ----

vkb_status train_feeder_create(const train_feed_params *params, train_feeder **out)
{
    vkb_status status = VKB_OK;
    train_feeder *f = calloc(1, sizeof(*f));
    if (!f)
        return vkb_fail_memory(gpu_context(params->inputs->dev), sizeof(*f), "the feeder");
    f->params = *params;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    for (uint32_t i = 0; i < TRAIN_SLOTS; i++)
        BASE_TRY(train_slot_create(params->inputs, &f->slots[i].slot));
    *out = f;
    f = NULL;
cleanup:
    train_feeder_destroy(&f);
    return status;
}

void train_feeder_destroy(train_feeder **feeder)
{
    train_feeder *f = feeder ? *feeder : NULL;
    if (!f)
        return;
    *feeder = NULL;
    feeder_stop(f);
    for (uint32_t i = 0; i < TRAIN_SLOTS; i++)
        train_slot_free(&f->slots[i].slot);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void train_feeder_watch(train_feeder *f, void (*before_fill)(void *user), void *user)
{
    f->before_fill = before_fill;
    f->user = user;
}

void train_feeder_be_late(train_feeder *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->asked && !f->stop)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

vkb_status train_feeder_start(train_feeder *f, train_cursor at)
{
    feeder_stop(f);
    f->at = at;
    f->at.rows = 0; // the epoch's rows are to be made again
    f->next_fill = f->next_take = 0;
    f->stop = f->asked = false;
    for (uint32_t i = 0; i < TRAIN_SLOTS; i++)
        f->slots[i].state = EMPTY;
    if (pthread_create(&f->thread, NULL, feeder_run, f) != 0)
        return vkb_fail(gpu_context(f->params.inputs->dev), VKB_FAILED,
                        "the thread that reads rows cannot be started");
    f->running = true;
    return VKB_OK;
}

// Slots that the device has read are empty again.
static void give_back(train_feeder *f)
{
    bool changed = false;
    for (uint32_t i = 0; i < TRAIN_SLOTS; i++) {
        feeder_slot *slot = &f->slots[i];
        if (slot->state == SUBMITTED && gpu_done(f->params.inputs->dev, slot->ticket)) {
            slot->state = EMPTY;
            changed = true;
        }
    }
    if (changed)
        pthread_cond_broadcast(&f->changed);
}

vkb_status train_feeder_next(train_feeder *f, train_feed *feed)
{
    feeder_slot *slot = &f->slots[f->next_take % TRAIN_SLOTS];
    pthread_mutex_lock(&f->lock);
    if (slot->state == SUBMITTED) { // only this thread submits and gives back
        pthread_mutex_unlock(&f->lock);
        vkb_status waited = gpu_wait(f->params.inputs->dev, slot->ticket);
        if (waited != VKB_OK)
            return waited;
        pthread_mutex_lock(&f->lock);
    }
    give_back(f);
    const bool was_late = f->asked = slot->state != READY;
    if (was_late)
        pthread_cond_broadcast(&f->changed);
    while (slot->state != READY)
        pthread_cond_wait(&f->changed, &f->lock);
    const vkb_status status = slot->status;
    pthread_mutex_unlock(&f->lock);
    *feed = slot->feed;
    feed->was_late = was_late;
    return status;
}

void train_feeder_submitted(train_feeder *f, uint64_t ticket)
{
    feeder_slot *slot = &f->slots[f->next_take++ % TRAIN_SLOTS];
    pthread_mutex_lock(&f->lock);
    slot->ticket = ticket;
    slot->state = SUBMITTED;
    give_back(f);
    pthread_mutex_unlock(&f->lock);
}
