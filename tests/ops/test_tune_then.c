// Tuning what kernels do behind their products: it is tried with the variant that is taken, and left to
// kernels apart after a fault, by which the product itself is not touched.
#include "tune_device.h"

// ---- Products ----

enum { M = 77, N = 72, K = 40 };

typedef struct followed {
    op_then_kind kind;
    gpu_type type;
} followed;

static op_matmul_params product_of(const followed *f, op_residual_norm *norm)
{
    const gpu_view words = gpu_whole(memory), acts = gpu_typed(words, f->type);
    const gpu_view c = gpu_part(acts, 1 << 19, 1 << 18);
    *norm = (op_residual_norm){.x_bias = words,
                               .residual = acts,
                               .gain = words,
                               .bias = words,
                               .y = gpu_part(acts, 1 << 18, 1 << 18),
                               .stat = gpu_part(words, 3 << 18, 1 << 17),
                               .eps = 1e-12f};
    op_matmul_params p = {.layout = f->kind == OP_THEN_GELU_BACK ? OP_NN : OP_NT,
                          .a = acts,
                          .b = acts,
                          .c = c,
                          .m = M,
                          .n = N,
                          .k = K,
                          .alpha = 1,
                          .then = {.kind = f->kind,
                                   .gelu = norm->y,
                                   .before = acts,
                                   .bias_grad = norm->stat,
                                   .norm = norm}};
    if (f->kind == OP_THEN_GELU)
        p.bias = words;
    return p;
}

static void record(gpu_stream *s, void *user)
{
    op_residual_norm norm;
    const op_matmul_params p = product_of(user, &norm);
    op_matmul_(s, &p);
}

// Runs of a recording: fused, the product's alone but for what always follows.
static uint64_t runs(followed f)
{
    gpu_stream *s = NULL;
    const uint64_t before = gpu_count(dev).recorded_runs;
    CHECK(gpu_record(dev, "product", false, record, &f, &s) == VKB_OK);
    gpu_stream_destroy(&s);
    return gpu_count(dev).recorded_runs - before;
}

static uint64_t runs_of(followed f, bool fused)
{
    const uint64_t behind[][2] = {// apart, fused
                                  [OP_THEN_GELU] = {1, 0},
                                  [OP_THEN_GELU_BACK] = {3, 1},
                                  [OP_THEN_NORM] = {1, 1}};
    return 1 + behind[f.kind][fused];
}

static vkb_status tune(followed f)
{
    op_products list = {0};
    vkb_tuning t = {0};
    const op_tune_params params = {.max_seconds = 60, .enough = 0.001, .hang_seconds = 120};
    vkb_status status = op_products_hear(dev, record, &f, &list);
    CHECK(status == VKB_OK);
    CHECK_INT(list.count, 1);
    CHECK_INT(list.at[0].then.kind, f.kind);
    status = op_tune(dev, &list, &params, &t);
    op_tuning_free(&t);
    op_products_free(&list);
    return status;
}

static const followed each[] = {{OP_THEN_GELU, GPU_F32},      {OP_THEN_GELU_BACK, GPU_F32},
                                {OP_THEN_NORM, GPU_F32},      {OP_THEN_GELU, GPU_F16},
                                {OP_THEN_GELU_BACK, GPU_F16}, {OP_THEN_NORM, GPU_F16}};

TEST(what_is_right_is_used)
{
    start();
    for (size_t i = 0; i < BASE_COUNT(each); i++) {
        CHECK_INT(runs(each[i]), runs_of(each[i], true));
        CHECK(tune(each[i]) == VKB_OK);
        CHECK_INT(runs(each[i]), runs_of(each[i], true));
    }
    CHECK_STR(warnings, "");
    const char *key, *text;
    CHECK(!gpu_note_at(dev, GPU_NOTE_FAULT, 0, &key, &text));
    CHECK(!gpu_note_at(dev, GPU_NOTE_TRIAL, 0, &key, &text));
    end();
}

// Of matmul_tile_then with this layout, whatever the tile.
static void check_fault(gpu_test_fault fault, followed f, const char *kind, const char *what)
{
    const bool lost = fault == GPU_TEST_LOST;
    check_case = what;
    start();
    gpu_test_break(dev, fault, GPU_matmul_tile_then, 3, f.kind == OP_THEN_GELU_BACK);
    CHECK(tune(f) == (lost ? VKB_DEVICE_LOST : VKB_OK));
    if (lost)
        CHECK_HAS(vkb_error(ctx), "run the same command again");
    else
        CHECK_INT(runs(f), runs_of(f, false));
    CHECK_HAS(warnings, "kernel variant tile ");
    CHECK_HAS(warnings, kind);
    CHECK_HAS(warnings, what);
    end();

    open_device(); // it works now, but is not trusted again
    const char *key = "", *text;
    CHECK(gpu_note_at(dev, GPU_NOTE_FAULT, 0, &key, &text));
    CHECK_HAS(key, kind);
    CHECK(!gpu_note_at(dev, GPU_NOTE_FAULT, 1, &key, &text));
    CHECK(tune(f) == VKB_OK);
    end();
    check_case = "";
}

TEST(what_has_a_fault_is_done_apart)
{
    check_fault(GPU_TEST_DOES_NOT_BUILD, each[0], " then gelu", "failed (");
    check_fault(GPU_TEST_GIVES_NOTHING, each[1], " then gelu backward", "gave wrong numbers (");
    check_fault(GPU_TEST_GIVES_NOTHING, each[2], " then residual", "gave wrong numbers (");
    check_fault(GPU_TEST_LOST, each[2], " then residual", "lost the device");
}

static void all_tests(vkb_device *found)
{
    memcpy(uuid, vkb_device_get_info(found)->uuid, sizeof(uuid));
    op_force_variant(OP_VARIANT_GPU); // others do nothing behind their products
    RUN(what_is_right_is_used);
    RUN(what_has_a_fault_is_done_apart);
    op_force_variant(OP_VARIANT_CHOSEN);
}

int main(void)
{
    return tune_devices_run(all_tests);
}
