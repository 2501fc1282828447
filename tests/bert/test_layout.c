// Where parameters lie: their number for each published size, slabs within a device's limits; and what
// a pass works in.
#include "bert/bert.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vkb_context *ctx;
static const uint64_t no_limit = UINT64_MAX / 2;

// The parameters of transformers' BertForMaskedLM and BertForPreTraining for the published sizes
// (decoder tied).
TEST(sizes_have_the_published_parameters)
{
    const struct {
        const char *size;
        uint64_t masked_lm, pre_training;
    } sizes[] = {{"tiny", 4416698, 4433468},     {"mini", 11201594, 11267900},
                 {"small", 28795194, 29058876},  {"medium", 41404730, 41668412},
                 {"base", 109514298, 110106428}, {"large", 335174458, 336226108}};
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        vkb_config config;
        bert_layout layout;
        check_case = sizes[i].size;
        CHECK_INT(vkb_config_preset(ctx, sizes[i].size, &config), VKB_OK);
        CHECK_INT(bert_layout_create(ctx, &config, no_limit, 64, &layout), VKB_OK);
        CHECK_INT(layout.elements, sizes[i].masked_lm);
        CHECK_INT(layout.slab_count, 4); // with decay and without, encoder and head
        bert_layout_free(&layout);
        config.next_sentence = true;
        CHECK_INT(bert_layout_create(ctx, &config, no_limit, 64, &layout), VKB_OK);
        CHECK_INT(layout.elements, sizes[i].pre_training);
        CHECK_INT(layout.slab_count, 6);
        bert_layout_free(&layout);
    }
}

static int by_place(const void *a_, const void *b_)
{
    const bert_tensor *a = a_, *b = b_;
    if (a->slab != b->slab)
        return a->slab < b->slab ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

// BERT-base on a device that binds 128 MiB at most.
TEST(slabs_keep_the_limit_and_their_tensors_apart)
{
    const uint64_t limit = 128 << 20, alignment = 256;
    vkb_config config;
    bert_layout layout;
    CHECK_INT(vkb_config_preset(ctx, "base", &config), VKB_OK);
    CHECK_INT(bert_layout_create(ctx, &config, limit, alignment, &layout), VKB_OK);
    CHECK(layout.slab_count >= 5);
    for (uint32_t i = 0; i < layout.slab_count; i++)
        CHECK(layout.slabs[i].bytes > 0 && layout.slabs[i].bytes <= limit);
    qsort(layout.tensors, layout.tensor_count, sizeof(*layout.tensors), by_place);
    for (uint32_t i = 0; i < layout.tensor_count; i++) {
        const bert_tensor *t = &layout.tensors[i], *next = t + 1;
        CHECK(t->offset % alignment == 0);
        CHECK(t->offset + t->room <= layout.slabs[t->slab].bytes);
        CHECK_INT(t->room - t->bytes, t->rows == config.vocab_size   ? 6ull * 4 * 768 // 30,522
                                      : t->cols == config.vocab_size ? 6ull * 4
                                                                     : 0);
        CHECK_INT(t->decay, layout.slabs[t->slab].decay);
        CHECK_INT(t->decay, t->rows ? BERT_DECAY : BERT_PLAIN);
        if (i + 1 < layout.tensor_count && next->slab == t->slab)
            CHECK(t->offset + t->room <= next->offset);
    }
    bert_layout_free(&layout);
}

// Weights that lie together from a layer's query on, and biases.
static void query_lies_with(uint32_t hidden, uint64_t limit, uint64_t alignment, uint32_t weights,
                            uint32_t biases)
{
    vkb_config config;
    bert_layout layout;
    uint32_t found = 0;
    CHECK_INT(vkb_config_preset(ctx, "tiny", &config), VKB_OK);
    config.hidden_size = hidden;
    CHECK_INT(bert_layout_create(ctx, &config, limit, alignment, &layout), VKB_OK);
    for (uint32_t i = 0; i < layout.tensor_count; i++) {
        const bert_tensor *t = &layout.tensors[i];
        const uint32_t tensors = t->rows ? weights : biases;
        CHECK(t->offset % alignment == 0 && t->slab < layout.slab_count);
        if (!strstr(t->name, "self.query.")) {
            CHECK_INT(t->together, !strstr(t->name, "self.") || tensors == 1);
            continue;
        }
        found++;
        CHECK_INT(t->together, tensors);
        CHECK_HAS(t[1].name, t->rows ? "self.key.weight" : "self.key.bias");
        CHECK_HAS(t[2].name, t->rows ? "self.value.weight" : "self.value.bias");
        for (uint32_t k = 1; k < tensors; k++)
            CHECK(t[k].slab == t->slab && t[k].offset == t->offset + k * t->bytes);
    }
    CHECK_INT(found, 2 * config.num_hidden_layers);
    bert_layout_free(&layout);
}

// For one product, unless columns of what it gives could not be bound, or a slab has no room.
TEST(query_key_and_value_lie_together)
{
    query_lies_with(128, no_limit, 256, 3, 3);
    query_lies_with(128, 40 << 20, 64, 3, 3);
    query_lies_with(312, no_limit, 16, 3, 3);
    query_lies_with(312, no_limit, 64, 1, 1);
    query_lies_with(2048, 40 << 20, 64, 1, 3);
}

// The multilingual vocabulary, 350 MiB of embeddings, where 128 MiB can be bound.
TEST(a_tensor_beyond_the_limit_has_a_slab_for_itself)
{
    const uint64_t limit = 128 << 20;
    vkb_config config;
    bert_layout layout;
    CHECK_INT(vkb_config_preset(ctx, "base", &config), VKB_OK);
    config.vocab_size = 119547;
    CHECK_INT(bert_layout_create(ctx, &config, limit, 64, &layout), VKB_OK);
    CHECK_INT(layout.slabs[layout.tensors[0].slab].bytes, 4ull * bert_vocab_room(&config) * 768);
    CHECK_STR(layout.slabs[layout.tensors[0].slab].only, "bert.embeddings.word_embeddings.weight");
    for (uint32_t i = 1; i < layout.tensor_count; i++)
        CHECK(layout.tensors[i].slab != layout.tensors[0].slab &&
              layout.slabs[layout.tensors[i].slab].bytes <= limit);
    bert_layout_free(&layout);
}

TEST(too_many_slabs_are_refused)
{
    vkb_config config;
    bert_layout layout;
    CHECK_INT(vkb_config_preset(ctx, "large", &config), VKB_OK);
    config.vocab_size = 1000;
    CHECK_INT(bert_layout_create(ctx, &config, 17 << 20, 64, &layout), VKB_OUT_OF_MEMORY);
    CHECK_HAS(vkb_error(ctx), "64 are supported: choose a smaller model");
}

// What a model without the next-sentence head has, it has in the same order with it: the same seed
// draws the same weights.
TEST(the_next_sentence_head_stands_behind_all_others)
{
    vkb_config config;
    bert_layout without, with;
    CHECK_INT(vkb_config_preset(ctx, "tiny", &config), VKB_OK);
    CHECK_INT(bert_layout_create(ctx, &config, no_limit, 64, &without), VKB_OK);
    config.next_sentence = true;
    CHECK_INT(bert_layout_create(ctx, &config, no_limit, 64, &with), VKB_OK);
    CHECK_INT(with.tensor_count, without.tensor_count + 4);
    for (uint32_t i = 0; i < without.tensor_count; i++) {
        const bert_tensor *a = &without.tensors[i], *b = &with.tensors[i];
        CHECK_STR(a->name, b->name);
        CHECK(a->slab == b->slab && a->offset == b->offset);
    }
    for (uint32_t i = without.tensor_count; i < with.tensor_count; i++)
        CHECK_INT(with.tensors[i].part, BERT_PAIR_HEAD);
    bert_layout_free(&without);
    bert_layout_free(&with);
}

typedef struct plan {
    char names[2048]; // each with a space behind it
    uint64_t bytes, allocated;
} plan;

static void plan_add(void *user, const char *name, uint64_t bytes, uint64_t shared)
{
    plan *p = user;
    CHECK(bytes > 0 && shared <= bytes);
    p->allocated += bytes - shared;
    if (*name == '(') // the gaps between tensors
        return;
    size_t used = strlen(p->names);
    snprintf(p->names + used, sizeof(p->names) - used, "%s ", name);
    p->bytes += bytes;
}

// B rows of H: pooler_in, pooler_sum, pooled and, in training, dpooled; of 2 and 4: pair_logits, pair_stats.
TEST(only_a_model_with_the_head_has_its_activations)
{
    const bert_shape shape = {.rows = 8, .length = 16, .predictions = 24, .training = true};
    plan without = {{0}, 0, 0}, with = {{0}, 0, 0};
    const vkb_device_info gpu = {.type = VKB_DISCRETE};
    vkb_config config;
    CHECK_INT(vkb_config_preset(ctx, "tiny", &config), VKB_OK);
    CHECK(bert_acts_plan(&gpu, &config, shape, plan_add, &without));
    config.next_sentence = true;
    CHECK(bert_acts_plan(&gpu, &config, shape, plan_add, &with));
    CHECK(!strstr(without.names, "pooler") && !strstr(without.names, "pair"));
    CHECK_HAS(with.names, "pooler_in pooler_sum pooled pair_logits pair_stats ");
    CHECK_HAS(with.names, "dpooled ");
    CHECK_INT(with.bytes - without.bytes, 4 * 8 * (4 * config.hidden_size + 2 + 4));
}

// Two heads: a GPU keeps two numbers a query of each layer, a software driver all probabilities, and so
// does a GPU with heads too wide for the fused kernels.
TEST(gpus_keep_nothing_of_length_squared)
{
    const bert_shape shape = {.rows = 8, .length = 16, .predictions = 24, .training = true};
    const vkb_device_info gpu = {.type = VKB_DISCRETE};
    const vkb_device_info cpu = {
        .type = VKB_SOFTWARE, .subgroup_size = 8, .min_subgroup_size = 8, .max_subgroup_size = 8};
    plan on_gpu = {{0}, 0, 0}, on_cpu = {{0}, 0, 0}, wide = {{0}, 0, 0};
    vkb_config config;
    CHECK_INT(vkb_config_preset(ctx, "tiny", &config), VKB_OK);
    CHECK(bert_acts_plan(&gpu, &config, shape, plan_add, &on_gpu));
    CHECK(bert_acts_plan(&cpu, &config, shape, plan_add, &on_cpu));
    CHECK_HAS(on_gpu.names, " stats ");
    CHECK(!strstr(on_gpu.names, "probs"));
    CHECK_HAS(on_cpu.names, " probs ");
    CHECK(!strstr(on_cpu.names, " stats"));
    CHECK_INT(on_cpu.bytes - on_gpu.bytes,
              config.num_hidden_layers * 4 * 8 * 2 * (16 * 16 - 2 * 16));
    config.hidden_size = config.num_attention_heads * 192;
    CHECK(bert_acts_plan(&gpu, &config, shape, plan_add, &wide));
    CHECK_HAS(wide.names, " probs ");
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    RUN(sizes_have_the_published_parameters);
    RUN(slabs_keep_the_limit_and_their_tensors_apart);
    RUN(query_key_and_value_lie_together);
    RUN(a_tensor_beyond_the_limit_has_a_slab_for_itself);
    RUN(too_many_slabs_are_refused);
    RUN(the_next_sentence_head_stands_behind_all_others);
    RUN(only_a_model_with_the_head_has_its_activations);
    RUN(gpus_keep_nothing_of_length_squared);
    vkb_context_destroy(&ctx);
    return check_report();
}
