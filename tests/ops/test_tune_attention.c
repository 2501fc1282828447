// Tuning attention: cooperative matrices are used where they are right and faster than the plain twin, and
// never again after a fault. Where a device admits none, that nothing is tried.
#include "tune_device.h"

#include "ops/attention.h"

enum { ROWS = 2, LENGTH = 20, HEADS = 2, HIDDEN = 64 };

// ---- A recording of it ----

static void record_fwd(gpu_stream *s, void *user)
{
    const gpu_type type = *(const gpu_type *)user;
    const gpu_view words = gpu_whole(memory), acts = gpu_typed(words, type);
    op_attention_fwd(s, &(op_attention){.q = acts,
                                        .k = acts,
                                        .v = acts,
                                        .segments = words,
                                        .stats = gpu_part(words, 1 << 18, 1 << 18),
                                        .context = gpu_part(acts, 1 << 19, 1 << 19),
                                        .rows = ROWS,
                                        .length = LENGTH,
                                        .heads = HEADS,
                                        .hidden = HIDDEN,
                                        .dropout = {words, 1, 0.1f}});
}

// The family that a recording takes: of one whose forward does not build, it fails.
static const char *in_use(void)
{
    gpu_type type = GPU_F16;
    gpu_stream *s = NULL;
    gpu_test_break(dev, GPU_TEST_DOES_NOT_BUILD, GPU_attention_coop_fwd, 3, 1);
    const bool coop = gpu_record(dev, "attention", false, record_fwd, &type, &s) != VKB_OK;
    gpu_stream_destroy(&s);
    gpu_test_break(dev, GPU_TEST_NONE, GPU_attention_fwd, 0, 0);
    return coop ? "coop" : "tile";
}

// ---- Tuning ----

static vkb_status tune(gpu_type type)
{
    op_products list = {0};
    vkb_tuning t = {0};
    const op_tune_params params = {.max_seconds = 60, .enough = 0.001, .hang_seconds = 120};
    vkb_status status = op_products_hear(dev, record_fwd, &type, &list);
    CHECK(status == VKB_OK);
    CHECK_INT(list.attention.rows, ROWS);
    CHECK_INT(list.attention.hidden, HIDDEN);
    status = op_tune(dev, &list, &params, &t);
    op_tuning_free(&t);
    op_products_free(&list);
    return status;
}

static attention_name name(void)
{
    op_attention a = {
        .rows = ROWS, .length = LENGTH, .heads = HEADS, .hidden = HIDDEN, .dropout.p = 0.1f};
    a.q.type = GPU_F16;
    return attention_name_of(&a);
}

TEST(without_matrices_nothing_is_tried)
{
    start();
    const char *key, *text;
    const uint64_t before = gpu_count(dev).submissions;
    CHECK(tune(GPU_F32) == VKB_OK);
    const op_attention a = {.q.type = GPU_F16, .heads = HEADS, .hidden = HIDDEN};
    if (!attention_has_coop(vkb_device_get_info(dev), &a)) {
        CHECK(tune(GPU_F16) == VKB_OK);
        CHECK_STR(in_use(), "tile");
    }
    CHECK_INT(gpu_count(dev).submissions, before);
    CHECK(!gpu_note_at(dev, GPU_NOTE_CHOICE, 0, &key, &text));
    end();
}

// The forward pass of cooperative matrices takes so long, any other kernel a millisecond.
static void coop_takes(double seconds)
{
    other.kernel = GPU_attention_coop_fwd;
    other.constant = 3;
    other.value = 1;
    other.seconds = seconds;
}

static void check_choice(double seconds, const char *expected)
{
    start();
    CHECK_STR(in_use(), "coop");
    coop_takes(seconds);
    CHECK(tune(GPU_F16) == VKB_OK);
    CHECK_STR(warnings, "");
    CHECK_STR(gpu_note(dev, GPU_NOTE_CHOICE, name().text), expected);
    CHECK_STR(in_use(), expected);
    end();
}

TEST(the_faster_family_is_remembered)
{
    check_choice(1, "tile");
    check_choice(1e-6, "coop");

    open_device();
    const uint64_t before = gpu_count(dev).submissions;
    CHECK(tune(GPU_F16) == VKB_OK);
    CHECK_INT(gpu_count(dev).submissions, before);
    CHECK_STR(in_use(), gpu_note(dev, GPU_NOTE_CHOICE, name().text));
    // What a checkpoint brings along.
    CHECK(gpu_note_set(dev, GPU_NOTE_IN_USE, name().text, "coop") == VKB_OK);
    CHECK_STR(in_use(), "coop");
    CHECK(gpu_note_set(dev, GPU_NOTE_IN_USE, name().text, "tile") == VKB_OK);
    CHECK_STR(in_use(), "tile");
    end();
}

// In one of the three passes, with dropout.
static void check_fault(gpu_test_fault fault, gpu_kernel kernel, const char *what)
{
    const bool lost = fault == GPU_TEST_LOST;
    check_case = what;
    start();
    gpu_test_break(dev, fault, kernel, 3, 1);
    CHECK(tune(GPU_F16) == (lost ? VKB_DEVICE_LOST : VKB_OK));
    if (lost)
        CHECK_HAS(vkb_error(ctx), "run the same command again");
    CHECK_HAS(warnings, "kernel variant attention coop f16");
    CHECK_HAS(warnings, what);
    end();

    open_device(); // it works now, but is not trusted again
    CHECK_HAS(gpu_note(dev, GPU_NOTE_FAULT, attention_coop_name(GPU_F16)), what);
    CHECK_STR(in_use(), "tile");
    CHECK(tune(GPU_F16) == VKB_OK);
    CHECK_STR(in_use(), "tile");
    end();
    check_case = "";
}

TEST(matrices_with_a_fault_are_not_used_again)
{
    check_fault(GPU_TEST_DOES_NOT_BUILD, GPU_attention_coop_bwd_q, "failed (");
    check_fault(GPU_TEST_GIVES_NOTHING, GPU_attention_coop_fwd, "gave wrong numbers (");
    check_fault(GPU_TEST_GIVES_NOTHING, GPU_attention_coop_bwd_kv, "gave wrong numbers (");
    check_fault(GPU_TEST_LOST, GPU_attention_coop_bwd_kv, "lost the device");
}

static void all_tests(vkb_device *found)
{
    const op_attention a = {.q.type = GPU_F16, .heads = HEADS, .hidden = HIDDEN};
    memcpy(uuid, vkb_device_get_info(found)->uuid, sizeof(uuid));
    RUN(without_matrices_nothing_is_tried);
    if (attention_has_coop(vkb_device_get_info(found), &a)) {
        RUN(the_faster_family_is_remembered);
        RUN(matrices_with_a_fault_are_not_used_again);
    } else
        printf("no cooperative matrices of fp16 that attention could use: the rest is skipped\n");
}

int main(void)
{
    return tune_devices_run(all_tests);
}
