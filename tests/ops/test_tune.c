// Tuning: what is measured, chosen, remembered; and each fault that a variant may have.
#include "tune_device.h"

#include <sys/wait.h>

static char *program;

// ---- Products ----

// More rows than the eight workgroups of GPU_TEST_GIVES_LESS, and a remainder in each size.
static const op_matmul_params large = {.layout = OP_NT, .m = 12 * 64 + 5, .n = 70, .k = 37};

static void record_two(gpu_stream *s, void *user)
{
    (void)user;
    const gpu_view any = gpu_scratch(s, 0, 1 << 20);
    for (int i = 0; i < 3; i++)
        op_matmul(s, .layout = OP_NN, .a = any, .b = any, .c = any, .m = 8, .n = 8, .k = 8);
    op_matmul(s, .layout = OP_TN, .a = any, .b = any, .c = any, .m = 8, .n = 8, .k = 7, .bias = any,
              .accumulate = true);
}

TEST(a_rehearsal_tells_the_products_and_records_nothing)
{
    start();
    op_products list = {0};
    const gpu_counters before = gpu_count(dev);
    CHECK(op_products_hear(dev, record_two, NULL, &list) == VKB_OK);
    CHECK_INT(list.count, 2);
    CHECK_STR(list.at[0].name.text, "NN 8x8x8 f32-f32");
    CHECK_NEAR(list.at[0].calls, 3, 0);
    CHECK_STR(list.at[1].name.text, "TN 8x8x7 f32-f32 bias add");
    CHECK_NEAR(list.at[1].calls, 1, 0);
    CHECK_INT(gpu_count(dev).pipelines, before.pipelines);
    CHECK_INT(gpu_count(dev).allocations, before.allocations);
    op_products_free(&list);
    end();
}

// ---- Tuning one product ----

static op_tune_params quick(void)
{
    return (op_tune_params){
        .max_seconds = 60, .thorough = true, .enough = 0.001, .hang_seconds = 120};
}

static vkb_status tune(const op_matmul_params *product, const op_tune_params *params,
                       vkb_tuning *out)
{
    op_products list = {0};
    // Rows that a step leaves out, here all of them, are none of a trial's.
    op_matmul_params heard = *product;
    gpu_buffer *none = NULL;
    CHECK(gpu_buffer_create(dev, "none", 16, GPU_UPLOAD, &none) == VKB_OK);
    memset(gpu_mapped(gpu_whole(none)), 0, 16);
    heard.used = gpu_part(gpu_whole(none), 0, 4);
    op_products_add(&list, &heard);
    list.at[0].calls = 7;
    vkb_status status = op_tune(dev, &list, params, out);
    op_products_free(&list);
    gpu_buffer_destroy(&none);
    return status;
}

static vkb_tuned_variant find(const vkb_tuning *t, const char *variant)
{
    for (size_t i = 0; i < t->variant_count; i++)
        if (strcmp(t->variants[i].variant, variant) == 0)
            return t->variants[i];
    CHECK_FAILED("there is no variant %s", variant);
    return (vkb_tuned_variant){0};
}

static const vkb_tuned_variant *chosen(const vkb_tuning *t)
{
    const vkb_tuned_variant *found = NULL;
    for (size_t i = 0; i < t->variant_count; i++) {
        if (!t->variants[i].chosen)
            continue;
        CHECK(found == NULL);
        found = &t->variants[i];
    }
    static const vkb_tuned_variant none;
    CHECK(found != NULL);
    return found ? found : &none;
}

// The variant that the tests below make fast, slow or faulty: every device has it, and it is no
// device's usual one.
#define VICTIM "tile 32"

static void victim_takes(double seconds)
{
    other.kernel = GPU_matmul_tile;
    other.constant = 1;
    other.value = 32;
    other.seconds = seconds;
}

static void measure_layout(op_layout layout, bool accumulate, gpu_type type)
{
    vkb_tuning t = {0};
    op_matmul_params product = large;
    const op_tune_params params = quick();
    product.layout = layout;
    product.accumulate = accumulate;
    if (type != GPU_F32) { // rows in fours
        product.m = 12 * 64 + 4;
        product.n = 72;
        product.k = 36;
        product.a.type = product.b.type = type;
        product.c.type = layout == OP_TN ? GPU_F32 : type;
    }
    CHECK(tune(&product, &params, &t) == VKB_OK);
    CHECK_INT(t.products, 1);
    CHECK_INT(t.measured, 1);
    CHECK(t.variant_count >= 2);
    for (size_t i = 0; i < t.variant_count; i++) {
        check_case = t.variants[i].variant;
        CHECK(t.variants[i].seconds > 0);
        CHECK_STR(t.variants[i].fault, "");
        CHECK_NEAR(t.variants[i].flops, 2.0 * product.m * product.n * product.k, 0);
        CHECK(t.variants[i].usual == (i == 0));
    }
    check_case = "";
    CHECK(chosen(&t)->usual); // none is faster
    CHECK_NEAR(t.usual_seconds, 7 * t.variants[0].seconds, 1e-12);
    CHECK_NEAR(t.tuned_seconds, 7 * chosen(&t)->seconds, 1e-12);
    op_tuning_free(&t);
}

TEST(every_variant_is_checked_and_measured)
{
    start();
    measure_layout(OP_NT, false, GPU_F32);
    measure_layout(OP_NN, false, GPU_F16);
    measure_layout(OP_NT, false, GPU_BF16);
    measure_layout(OP_TN, true, GPU_BF16);
    measure_layout(OP_TN, true, GPU_F32);
    CHECK_STR(warnings, "");
    end();
}

TEST(the_fastest_variant_is_taken_where_it_is_worth_it)
{
    const struct {
        double seconds;
        bool taken;
    } cases[] = {{0.5e-3, true}, {0.96e-3, true}, {0.98e-3, false}, {2e-3, false}, {1, false}};
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        start();
        vkb_tuning t = {0};
        const op_tune_params params = quick();
        victim_takes(cases[i].seconds);
        CHECK(tune(&large, &params, &t) == VKB_OK);
        CHECK_NEAR(find(&t, VICTIM).seconds, cases[i].seconds, 1e-12);
        CHECK(find(&t, VICTIM).chosen == cases[i].taken);
        CHECK(chosen(&t)->usual != cases[i].taken);
        CHECK_INT(t.changed, cases[i].taken);
        op_tuning_free(&t);
        end();
    }
}

// What was not measured may be faster than what was: such a choice is used, and not remembered.
TEST(a_budget_may_end_between_two_variants)
{
    start();
    vkb_tuning t = {0};
    op_tune_params params = quick();
    params.thorough = false;
    host.step = 10; // of 60 seconds
    CHECK(tune(&large, &params, &t) == VKB_OK);
    CHECK(t.variants[0].seconds > 0);
    CHECK(t.variants[t.variant_count - 1].seconds == 0);
    CHECK(chosen(&t)->usual);
    CHECK(gpu_note(dev, GPU_NOTE_CHOICE, t.variants[0].product) == NULL);
    CHECK_STR(gpu_note(dev, GPU_NOTE_IN_USE, t.variants[0].product), t.variants[0].variant);
    op_tuning_free(&t);
    end();
}

TEST(a_choice_is_remembered_and_recordings_take_it)
{
    start();
    vkb_tuning first = {0}, second = {0};
    op_tune_params params = quick();
    matmul_variant variant;
    victim_takes(0.5e-3);
    CHECK(tune(&large, &params, &first) == VKB_OK);
    CHECK_STR(chosen(&first)->variant, VICTIM);
    CHECK(matmul_choose(dev, &large, &variant));
    CHECK_STR(matmul_variant_name(&variant).text, chosen(&first)->variant);
    end();

    open_device();
    params.thorough = false;
    const uint64_t before = gpu_count(dev).submissions;
    CHECK(matmul_choose(dev, &large, &variant)); // not in use yet
    CHECK_STR(matmul_variant_name(&variant).text, first.variants[0].variant);
    CHECK(tune(&large, &params, &second) == VKB_OK);
    CHECK_INT(second.known, 1);
    CHECK_INT(second.measured, 0);
    CHECK_INT(gpu_count(dev).submissions, before);
    CHECK_STR(chosen(&second)->variant, chosen(&first)->variant);
    // Another one in use is what a recording takes.
    const char *usual = first.variants[0].variant;
    CHECK(gpu_note_set(dev, GPU_NOTE_IN_USE, first.variants[0].product, usual) == VKB_OK);
    CHECK(matmul_choose(dev, &large, &variant));
    CHECK_STR(matmul_variant_name(&variant).text, usual);
    CHECK(gpu_note_set(dev, GPU_NOTE_IN_USE, first.variants[0].product, "gone 7") == VKB_OK);
    CHECK(matmul_choose(dev, &large, &variant));
    CHECK_STR(matmul_variant_name(&variant).text, first.variants[0].variant);
    op_tuning_free(&first);
    op_tuning_free(&second);
    end();
}

TEST(short_runs_and_small_budgets_measure_nothing)
{
    start();
    vkb_tuning t = {0};
    op_tune_params params = quick();
    params.thorough = false;
    const uint64_t before = gpu_count(dev).submissions;
    params.steps = 20;
    CHECK(tune(&large, &params, &t) == VKB_OK);
    CHECK_INT(t.measured, 0);
    CHECK(chosen(&t)->usual);
    op_tuning_free(&t);
    params.steps = 0;
    params.run_seconds = 30;
    CHECK(tune(&large, &params, &t) == VKB_OK);
    CHECK_INT(t.measured, 0);
    CHECK_INT(gpu_count(dev).submissions, before);
    op_tuning_free(&t);
    // A run of some steps of a small product: its usual variant is measured, and says that no other is
    // worth it. That is not remembered.
    const op_matmul_params small = {.layout = OP_NT, .m = 8, .n = 8, .k = 8};
    params.run_seconds = 0;
    params.steps = 100;
    usual_seconds = 1e-6;
    CHECK(tune(&small, &params, &t) == VKB_OK);
    CHECK(gpu_count(dev).submissions > before);
    CHECK_INT(t.measured, 1);
    CHECK(chosen(&t)->usual);
    CHECK(t.variants[t.variant_count - 1].seconds == 0);
    CHECK(gpu_note(dev, GPU_NOTE_CHOICE, t.variants[0].product) == NULL);
    op_tuning_free(&t);
    end();
}

static bool stop_at_once(void *user)
{
    return ++*(int *)user > 1;
}

TEST(it_can_be_stopped_between_variants)
{
    start();
    int asked = 0;
    vkb_tuning t = {0};
    op_tune_params params = quick();
    params.stop = stop_at_once;
    params.user = &asked;
    CHECK(tune(&large, &params, &t) == VKB_INTERRUPTED);
    CHECK_INT(asked, 2);
    const char *key, *text;
    CHECK(!gpu_note_at(dev, GPU_NOTE_TRIAL, 0, &key, &text));
    CHECK(!gpu_note_at(dev, GPU_NOTE_FAULT, 0, &key, &text));
    CHECK(!gpu_note_at(dev, GPU_NOTE_CHOICE, 0, &key, &text));
    end();
}

// ---- Faults ----

static void break_victim(gpu_test_fault fault)
{
    gpu_test_break(dev, fault, GPU_matmul_tile, 1, 32);
}

static void check_fault(gpu_test_fault fault, const char *what)
{
    vkb_tuning t = {0};
    const op_tune_params params = quick();
    check_case = what;
    start();
    break_victim(fault);
    CHECK(tune(&large, &params, &t) == VKB_OK);
    vkb_tuned_variant victim = find(&t, VICTIM);
    CHECK(victim.seconds == 0 && !victim.chosen);
    CHECK_HAS(victim.fault, what);
    CHECK_HAS(warnings, "kernel variant " VICTIM);
    CHECK_HAS(warnings, what);
    CHECK_HAS(warnings, gpu_notes_path(dev));
    CHECK(chosen(&t)->seconds > 0);
    op_tuning_free(&t);
    end();

    open_device(); // it works now, but is not trusted again
    CHECK_HAS(gpu_note(dev, GPU_NOTE_FAULT, VICTIM), what);
    CHECK(tune(&large, &params, &t) == VKB_OK);
    victim = find(&t, VICTIM);
    CHECK(victim.seconds == 0 && !victim.chosen);
    CHECK_HAS(victim.fault, what);
    op_tuning_free(&t);
    end();
    check_case = "";
}

TEST(a_variant_that_does_not_build_or_is_wrong_is_left_out)
{
    check_fault(GPU_TEST_DOES_NOT_BUILD, "failed (");
    check_fault(GPU_TEST_GIVES_NOTHING, "gave wrong numbers (");
    check_fault(GPU_TEST_GIVES_LESS, "gave wrong numbers");
}

TEST(the_usual_variant_may_be_the_one_that_is_wrong)
{
    start();
    op_matmul_params product = large;
    vkb_tuning t = {0};
    const op_tune_params params = quick();
    matmul_variant usual, next;
    op_force_matmul("tile");
    CHECK(matmul_choose(dev, &product, &usual));
    CHECK_STR(matmul_variant_name(&usual).text, "tile 64");
    // It is what is right, too: the next of its family takes its place.
    gpu_test_break(dev, GPU_TEST_DOES_NOT_BUILD, GPU_matmul_tile, 1, 64);
    CHECK(tune(&product, &params, &t) == VKB_OK);
    CHECK_HAS(find(&t, "tile 64").fault, "failed (");
    CHECK(find(&t, VICTIM).usual);
    CHECK(find(&t, VICTIM).seconds > 0);
    CHECK(matmul_choose(dev, &product, &next));
    CHECK(!matmul_variant_equal(&usual, &next));
    op_tuning_free(&t);
    op_force_matmul(NULL);
    end();
}

static void check_lost(gpu_test_fault fault, const char *what)
{
    vkb_tuning t = {0};
    const op_tune_params params = quick();
    check_case = what;
    start();
    break_victim(fault);
    CHECK(tune(&large, &params, &t) == VKB_DEVICE_LOST);
    CHECK_HAS(vkb_error(ctx), "kernel variant " VICTIM);
    CHECK_HAS(vkb_error(ctx), what);
    CHECK_HAS(vkb_error(ctx), "run the same command again");
    end();
    open_device();
    CHECK_STR(gpu_note(dev, GPU_NOTE_FAULT, VICTIM), what);
    break_victim(fault);
    CHECK(tune(&large, &params, &t) == VKB_OK); // without it
    CHECK(find(&t, VICTIM).seconds == 0);
    op_tuning_free(&t);
    end();
    check_case = "";
}

TEST(a_variant_that_takes_the_device_with_it_is_left_out_by_the_next_run)
{
    check_lost(GPU_TEST_HANGS, "hung");
    check_lost(GPU_TEST_LOST, "lost the device");
}

// In a process of its own: argv is the device's UUID.
static int be_killed(void)
{
    vkb_tuning t = {0};
    const op_tune_params params = quick();
    open_device();
    break_victim(GPU_TEST_ENDS);
    tune(&large, &params, &t);
    return 0;
}

TEST(a_variant_that_kills_the_process_is_left_out_by_the_next_run)
{
    vkb_tuning t = {0};
    const op_tune_params params = quick();
    int result = 0;
    start();
    end();
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        execl(program, program, uuid, (char *)NULL);
        _exit(1);
    }
    CHECK(child > 0 && waitpid(child, &result, 0) == child);
    CHECK(WIFSIGNALED(result));
    open_device();
    CHECK_HAS(gpu_note(dev, GPU_NOTE_FAULT, VICTIM), "ended while it was tried");
    CHECK(tune(&large, &params, &t) == VKB_OK);
    CHECK_HAS(warnings, VICTIM " is not used");
    CHECK(find(&t, VICTIM).seconds == 0);
    op_tuning_free(&t);
    end();
}

TEST(where_every_variant_is_faulty_a_recording_says_so)
{
    start();
    matmul_variant list[MATMUL_VARIANTS];
    const size_t count = matmul_variants(dev, &large, list, MATMUL_VARIANTS);
    for (size_t i = 0; i < count; i++)
        CHECK(gpu_note_set(dev, GPU_NOTE_FAULT, matmul_variant_name(&list[i]).text, "broke") ==
              VKB_OK);
    CHECK(gpu_run_once(dev, "products", record_two, NULL) == VKB_BAD_ARGUMENT);
    CHECK_HAS(vkb_error(ctx), "no kernel for this product");
    end();
}

static void all_tests(vkb_device *found)
{
    memcpy(uuid, vkb_device_get_info(found)->uuid, sizeof(uuid));
    RUN(a_rehearsal_tells_the_products_and_records_nothing);
    RUN(every_variant_is_checked_and_measured);
    RUN(the_fastest_variant_is_taken_where_it_is_worth_it);
    RUN(a_budget_may_end_between_two_variants);
    RUN(a_choice_is_remembered_and_recordings_take_it);
    RUN(short_runs_and_small_budgets_measure_nothing);
    RUN(it_can_be_stopped_between_variants);
    RUN(a_variant_that_does_not_build_or_is_wrong_is_left_out);
    RUN(the_usual_variant_may_be_the_one_that_is_wrong);
    RUN(a_variant_that_takes_the_device_with_it_is_left_out_by_the_next_run);
    RUN(a_variant_that_kills_the_process_is_left_out_by_the_next_run);
    RUN(where_every_variant_is_faulty_a_recording_says_so);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 1)
        return tune_devices_run(all_tests);
    ctx = vkb_context_create(keep_warnings, NULL);
    snprintf(uuid, sizeof(uuid), "%s", argv[1]);
    return be_killed();
}
