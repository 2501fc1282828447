// Places of things that are not needed all the time.
#include "bert/place.h"
#include "base/philox.h"
#include "bert/bert.h"
#include "check.h"

enum { MOST = 400 };

typedef struct placed {
    uint64_t sizes[MOST], total, sum;
    uint32_t buffers;
} placed;

static uint64_t align(uint64_t bytes, uint64_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

// Places them, and checks what bert_place_all promises.
static placed place_all(bert_place *places, size_t count, uint64_t limit, uint64_t alignment)
{
    placed p = {.buffers = 0};
    CHECK(bert_place_all(places, count, limit, alignment, p.sizes, &p.buffers));
    CHECK(p.buffers <= count);
    for (uint32_t b = 0; b < p.buffers; b++) {
        uint64_t largest = 0, end = 0;
        for (size_t i = 0; i < count; i++) {
            const bert_place *place = &places[i];
            if (place->buffer != b)
                continue;
            largest = place->bytes > largest ? place->bytes : largest;
            end = place->offset + place->bytes > end ? place->offset + place->bytes : end;
        }
        CHECK_INT(p.sizes[b], end);
        CHECK(end > 0 && (end <= limit || end == largest));
        p.total += end;
    }
    for (size_t i = 0; i < count; i++) {
        const bert_place *x = &places[i];
        p.sum += align(x->bytes, alignment);
        CHECK(x->buffer < p.buffers);
        CHECK_INT(x->offset % alignment, 0);
        for (size_t k = 0; k < i; k++) {
            const bert_place *y = &places[k];
            const bool meet = x->buffer == y->buffer && x->offset < y->offset + y->bytes &&
                              y->offset < x->offset + x->bytes;
            CHECK(!meet || !(x->life & y->life));
        }
    }
    CHECK(p.total <= p.sum);
    return p;
}

TEST(what_lives_at_once_lies_apart_and_the_rest_shares)
{
    bert_place places[] = {{.bytes = 100, .life = 1},
                           {.bytes = 300, .life = 2},
                           {.bytes = 100, .life = 4},
                           {.bytes = 100, .life = 3},
                           {.bytes = 50, .life = 4}};
    placed p = place_all(places, BASE_COUNT(places), 1000, 10);
    CHECK_INT(p.buffers, 1);
    CHECK_INT(p.total, 400);
}

TEST(offsets_are_aligned)
{
    bert_place places[] = {
        {.bytes = 7, .life = 1}, {.bytes = 5, .life = 1}, {.bytes = 1, .life = 1}};
    placed p = place_all(places, BASE_COUNT(places), 1000, 256);
    CHECK_INT(p.total, 2 * 256 + 1);
}

// Two buffers of at most 100, and one for what is larger alone, where something of another time fits.
TEST(buffers_keep_the_limit)
{
    bert_place places[] = {{.bytes = 150, .life = 1}, {.bytes = 60, .life = 3},
                           {.bytes = 60, .life = 3},  {.bytes = 40, .life = 3},
                           {.bytes = 150, .life = 4}, {.bytes = 20, .life = 8}};
    placed p = place_all(places, BASE_COUNT(places), 100, 10);
    CHECK_INT(p.buffers, 3);
    CHECK_INT(p.total, 150 + 100 + 60);
}

TEST(nothing_takes_no_buffer)
{
    placed p = place_all(NULL, 0, 100, 10);
    CHECK_INT(p.buffers, 0);
}

// Lives of one stretch or of two, of all lengths, in buffers that hold everything or little.
TEST(random_lives_never_meet)
{
    static bert_place places[MOST];
    for (uint32_t round = 0; round < 200; round++) {
        const size_t count = 1 + round % 90;
        for (size_t i = 0; i < count; i++) {
            const philox4 r = philox(1, (philox4){{round, (uint32_t)i, 0, 0}});
            const uint32_t first = r.v[0] % 20, length = 1 + r.v[1] % 12;
            places[i] = (bert_place){.bytes = 1 + r.v[2] % (r.v[3] % 2 ? 100 : 5000)};
            places[i].life = ((1ull << length) - 1) << first;
            if (r.v[3] & 2)
                places[i].life |= 3ull << (r.v[3] >> 2) % 40;
        }
        place_all(places, count, round % 3 ? 1u << 20 : 6000, 1u << round % 9);
    }
}

// ---- Of BERT ----

static vkb_context *ctx;

typedef struct plan {
    uint64_t bytes, allocated, gaps;
} plan;

static void plan_add(void *user, const char *name, uint64_t bytes, uint64_t shared)
{
    plan *p = user;
    const bool gap = *name == '(';
    p->allocated += bytes - shared;
    *(gap ? &p->gaps : &p->bytes) += bytes;
}

static plan plan_of(const char *size, bert_shape shape)
{
    const vkb_device_info gpu = {.type = VKB_DISCRETE};
    vkb_config config;
    plan p = {0};
    CHECK_INT(vkb_config_preset(ctx, size, &config), VKB_OK);
    CHECK(bert_acts_plan(&gpu, &config, shape, plan_add, &p));
    return p;
}

TEST(tensors_of_a_pass_share_bytes)
{
    bert_shape shape = {.rows = 8, .length = 128, .predictions = 224, .training = true};
    const plan training = plan_of("base", shape);
    shape.apart = true;
    const plan apart = plan_of("base", shape);
    shape.apart = false;
    shape.recompute = true;
    const plan recompute = plan_of("base", shape);
    shape.training = shape.recompute = false;
    const plan inference = plan_of("base", shape);
    shape.training = true;
    shape.precision = VKB_FP16;
    const plan halves = plan_of("base", shape);
    printf("  BERT-base, 8 x 128: %.1f MB apart, %.1f sharing, %.1f recomputing, %.1f inference\n",
           apart.allocated / 1e6, training.allocated / 1e6, recompute.allocated / 1e6,
           inference.allocated / 1e6);
    CHECK_INT(apart.bytes + apart.gaps, apart.allocated);
    CHECK_INT(apart.bytes, training.bytes);
    // The layers' backward is where the logits were.
    CHECK(training.allocated + 4ull * shape.predictions * 30522 < apart.allocated);
    CHECK(recompute.allocated < training.allocated / 3);
    CHECK(inference.allocated < recompute.allocated);
    // Statistics stay as they are.
    const uint64_t tokens = 8 * 128, wide = 4 * 224 * (2 + 4) + 4;
    const uint64_t inputs = 4 * (4 * tokens + 2 * 224 + 2 * 8);
    const uint64_t stats = 4 * tokens * (2 + 12 * (2 + 2 + 2 * 12)); // of rows, of queries
    CHECK_INT(halves.bytes, (training.bytes + wide + inputs + stats) / 2);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    RUN(what_lives_at_once_lies_apart_and_the_rest_shares);
    RUN(offsets_are_aligned);
    RUN(buffers_keep_the_limit);
    RUN(nothing_takes_no_buffer);
    RUN(random_lives_never_meet);
    RUN(tensors_of_a_pass_share_bytes);
    vkb_context_destroy(&ctx);
    return check_report();
}
