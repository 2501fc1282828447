// Packed rows and pairs: by properties, over generated texts that know where they came from.
#include "fixture.h"

#include "text/dataset.h"

#include <math.h>

static vkb_tokenizer *tok;

enum { WORDS = 3000, LENGTH = 32 };

// Text t is a run of words that no other text has next to each other: w<t>_0 ... would be ideal; with
// a vocabulary of WORDS words, word (t * 37 + i) % WORDS at place i.
static uint32_t word_of(uint32_t text, uint32_t place)
{
    return (text * 37 + place) % WORDS;
}

static uint32_t words_in(uint32_t text)
{
    return 1 + text * text % 11;
}

// Documents of 1 to 9 texts; returns the texts in all.
static uint32_t write_documents(const char *name, uint32_t documents)
{
    FILE *file = fopen(fixture_path(name), "w");
    uint32_t text = 0;
    for (uint32_t d = 0; d < documents; d++) {
        for (uint32_t k = 0; k < 1 + d % 9; k++, text++) {
            for (uint32_t i = 0; i < words_in(text); i++)
                fprintf(file, "w%u ", word_of(text, i));
            fputc('\n', file);
        }
        fputc('\n', file);
    }
    fclose(file);
    return text;
}

static vkb_dataset *load(const char *name, vkb_dataset_params params)
{
    vkb_dataset *data = NULL;
    const char *file = fixture_path(name);
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&file, 1), &params, &data, NULL), VKB_OK);
    return data;
}

typedef struct row_memory {
    uint32_t ids[LENGTH], types[LENGTH], positions[LENGTH], segments[LENGTH];
    dataset_row row;
} row_memory;

static const dataset_row *read_row(const vkb_dataset *data, uint64_t row, row_memory *m)
{
    m->row = (dataset_row){m->ids, m->types, m->positions, m->segments, 0, 0, 0};
    CHECK_INT(dataset_read(data, row, &m->row), VKB_OK);
    return &m->row;
}

// ---- Packed rows ----

TEST(packed_rows_are_full_and_lose_nothing)
{
    const uint32_t texts = write_documents("packed.txt", 4000);
    vkb_dataset *data =
        load("packed.txt", (vkb_dataset_params){.max_seq_length = LENGTH, .rows = VKB_ROWS_PACKED});
    const uint64_t rows = vkb_dataset_rows(data);
    uint64_t used = 0, wanted = 0, found = 0;
    static uint32_t seen[WORDS], expected[WORDS];
    for (uint32_t t = 0; t < texts; t++) {
        wanted += words_in(t) + 2;
        for (uint32_t i = 0; i < words_in(t); i++)
            expected[word_of(t, i)]++;
    }
    for (uint64_t r = 0; r < rows; r++) {
        row_memory m;
        const dataset_row *row = read_row(data, r, &m);
        used += row->used;
        for (uint32_t i = 0, start = 0; i < LENGTH; i++) {
            if (i >= row->used) {
                CHECK(row->segments[i] == 0 && row->ids[i] == 0 && row->positions[i] == i);
                continue;
            }
            const bool begins = i == 0 || row->segments[i] != row->segments[i - 1];
            start = begins ? i : start;
            CHECK_INT(row->segments[i], i == 0 ? 1 : row->segments[i - 1] + begins);
            CHECK_INT(row->positions[i], i - start);
            CHECK_INT(row->ids[i] == 2, begins); // [CLS] begins a text, [SEP] ends it
            CHECK_INT(row->ids[i] == 3,
                      i + 1 == row->used || row->segments[i + 1] != row->segments[i]);
            CHECK_INT(row->types[i], 0);
            if (row->ids[i] >= 5) {
                seen[row->ids[i] - 5]++;
                found++;
            }
        }
    }
    CHECK_INT(used, wanted);
    CHECK_INT(vkb_dataset_tokens(data), used);
    CHECK_INT(found, wanted - 2ull * texts);
    CHECK(memcmp(seen, expected, sizeof(seen)) == 0);
    CHECK((double)used / (double)(rows * LENGTH) > 0.98);
    vkb_dataset_destroy(&data);
}

TEST(long_texts_are_packed_in_pieces)
{
    char text[4096] = "";
    for (int i = 0; i < 400; i++)
        snprintf(text + strlen(text), 16, "w%d ", i);
    fixture_write("long.txt", text);
    vkb_dataset *data =
        load("long.txt", (vkb_dataset_params){.max_seq_length = LENGTH, .rows = VKB_ROWS_PACKED});
    uint32_t next = 0;
    CHECK_INT(vkb_dataset_rows(data), 14); // 13 of 30 words, one of 10
    CHECK_INT(vkb_dataset_tokens(data), 400 + 2 * 14);
    for (uint64_t r = 0; r < 14; r++) {
        row_memory m;
        const dataset_row *row = read_row(data, r, &m);
        for (uint32_t i = 1; i + 1 < row->used; i++)
            CHECK_INT(row->ids[i], 5 + next++);
    }
    vkb_dataset_destroy(&data);
}

// ---- Pairs ----

// The text that holds two words next to each other (or the one word), UINT32_MAX: none.
static bool follows(uint32_t a, uint32_t b)
{
    return (a + 1) % WORDS == b;
}

TEST(pairs_are_as_google_makes_them)
{
    write_documents("pairs.txt", 3000);
    vkb_dataset *data =
        load("pairs.txt",
             (vkb_dataset_params){.max_seq_length = LENGTH, .rows = VKB_ROWS_PAIRS, .seed = 7});
    const uint64_t rows = vkb_dataset_rows(data);
    double random = 0, tokens = 0;
    CHECK(rows > 3000);
    for (uint64_t r = 0; r < rows; r++) {
        row_memory m;
        const dataset_row *row = read_row(data, r, &m);
        uint32_t separators = 0, in_words[2] = {0, 0};
        CHECK(row->used <= LENGTH && row->used >= 5);
        for (uint32_t i = 0; i < row->used; i++) {
            CHECK_INT(row->types[i], separators > 0);
            CHECK(row->segments[i] == 1 && row->positions[i] == i);
            in_words[row->types[i]] += row->ids[i] >= 5;
            separators += row->ids[i] == 3;
        }
        CHECK(row->ids[0] == 2 && row->ids[row->used - 1] == 3);
        CHECK_INT(separators, 2);
        CHECK(in_words[0] > 0 && in_words[1] > 0);
        random += row->is_random;
        tokens += row->used;
    }
    CHECK_INT(tokens, vkb_dataset_tokens(data));
    // A pair of one text is always random, others with probability 1/2: more than half. Documents of
    // one text are 1/9, and what is put back makes some more.
    CHECK(random / (double)rows > 0.5 - 2 / sqrt((double)rows) && random / (double)rows < 0.75);

    // Another epoch pairs anew; the same one is the same again.
    uint64_t again;
    row_memory first, second, third;
    read_row(data, 5, &first);
    CHECK_INT(dataset_begin_epoch(data, 1, &again), VKB_OK);
    read_row(data, 5, &second);
    CHECK_INT(dataset_begin_epoch(data, 0, &again), VKB_OK);
    CHECK_INT(again, rows);
    read_row(data, 5, &third);
    CHECK(memcmp(first.ids, third.ids, sizeof(first.ids)) == 0);
    bool differs = memcmp(first.ids, second.ids, sizeof(first.ids)) != 0;
    CHECK(differs);
    vkb_dataset_destroy(&data);
}

// Documents of two texts of one word: word 2k, then word 2k + 1. A real pair is such, a random one is
// not but by one chance in as many as there are words.
TEST(the_label_says_whether_b_follows)
{
    FILE *file = fopen(fixture_path("two.txt"), "w");
    for (uint32_t d = 0; d < WORDS / 2; d++)
        fprintf(file, "w%u\nw%u\n\n", 2 * d, 2 * d + 1);
    fclose(file);
    vkb_dataset *data = load("two.txt", (vkb_dataset_params){.max_seq_length = 16,
                                                             .rows = VKB_ROWS_PAIRS,
                                                             .short_seq_probability = -1,
                                                             .seed = 3});
    double real = 0, wrong = 0, whole = 0;
    for (uint64_t r = 0; r < vkb_dataset_rows(data); r++) {
        row_memory m;
        const dataset_row *row = read_row(data, r, &m);
        const uint32_t a = row->ids[1] - 5, b = row->ids[3] - 5;
        if (a % 2 == 0) { // of two texts: 1/2 each; the put back second text is alone: random
            whole++;
            real += !row->is_random;
        } else {
            CHECK(row->is_random);
        }
        wrong += row->is_random == (a % 2 == 0 && follows(a, b) && row->used == 5);
    }
    CHECK_INT(whole, WORDS / 2);
    CHECK_NEAR(real, whole / 2, 4 * sqrt(whole / 4));
    CHECK(wrong <= 3);
    vkb_dataset_destroy(&data);
}

TEST(short_pairs_come_as_often_as_asked)
{
    FILE *file = fopen(fixture_path("short.txt"), "w"); // documents of 400 one-word texts
    for (uint32_t d = 0; d < 2000; d++) {
        for (uint32_t i = 0; i < 40; i++)
            fprintf(file, "w%u\n", (d + i) % WORDS);
        fputc('\n', file);
    }
    fclose(file);
    const double shares[] = {-1, 0.1, 1};
    for (size_t s = 0; s < 3; s++) {
        vkb_dataset *data =
            load("short.txt", (vkb_dataset_params){.max_seq_length = LENGTH,
                                                   .rows = VKB_ROWS_PAIRS,
                                                   .short_seq_probability = shares[s]});
        double rows = (double)vkb_dataset_rows(data), tokens = (double)vkb_dataset_tokens(data);
        // Targets of 29, or uniform in 2 .. 29: pairs are shorter and more the more of them are short.
        check_case = s == 0 ? "none" : s == 1 ? "a tenth" : "all";
        if (s == 0)
            CHECK(tokens / rows > 24);
        if (s == 2)
            CHECK(tokens / rows < 16);
        vkb_dataset_destroy(&data);
    }
    check_case = "";
}

TEST(a_single_document_pairs_with_itself)
{
    fixture_write("single.txt", "w1 w2 w3\nw4 w5 w6\nw7 w8 w9\n");
    vkb_dataset *data =
        load("single.txt", (vkb_dataset_params){.max_seq_length = 16, .rows = VKB_ROWS_PAIRS});
    CHECK(vkb_dataset_rows(data) >= 1);
    vkb_dataset_destroy(&data);
}

TEST(held_out_pairs_are_whole_documents)
{
    write_documents("split.txt", 300);
    const char *file = fixture_path("split.txt");
    vkb_dataset *data = NULL, *held = NULL;
    const vkb_dataset_params params = {.max_seq_length = LENGTH,
                                       .rows = VKB_ROWS_PAIRS,
                                       .validation_split = 0.1,
                                       .max_held_out_samples = 17};
    CHECK_INT(vkb_dataset_load(tok, SOURCE(&file, 1), &params, &data, &held), VKB_OK);
    CHECK_INT(vkb_dataset_rows(held), 17);
    CHECK(vkb_dataset_rows(data) > 300);
    vkb_dataset_destroy(&data);
    vkb_dataset_destroy(&held);
}

// ---- The order ----

TEST(the_order_is_a_permutation_of_any_size)
{
    static const uint64_t sizes[] = {1,    2,    3,    7,    255,   256,   257,
                                     1000, 1009, 1024, 4096, 65537, 100003};
    static bool seen[100003];
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        memset(seen, 0, sizeof(seen));
        double moved = 0;
        for (uint64_t i = 0, before = 0; i < sizes[s]; i++) {
            const uint64_t at = dataset_shuffled(sizes[s], 11, 4, i);
            CHECK(at < sizes[s] && !seen[at]);
            seen[at < sizes[s] ? at : 0] = true;
            moved += at == before + 1; // neighbours that stayed neighbours
            before = at;
        }
        if (sizes[s] > 1000) // one in `size` is expected: about 1 in all
            CHECK(moved < 10);
    }
    const uint64_t huge = ((uint64_t)1 << 40) + 7;
    CHECK(dataset_shuffled(huge, 1, 0, 5) < huge);
    CHECK(dataset_shuffled(huge, 1, 0, 5) != dataset_shuffled(huge, 1, 1, 5));
    CHECK(dataset_shuffled(huge, 1, 0, 5) != dataset_shuffled(huge, 2, 0, 5));
    CHECK_INT(dataset_shuffled(huge, 1, 0, 5), dataset_shuffled(huge, 1, 0, 5));
}

// Where 1000 rows come from: the first place's row over epochs is uniform, by chi square of ten parts.
TEST(the_order_is_uniform)
{
    enum { EPOCHS = 4000 };
    double parts[10] = {0}, chi = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++)
        parts[dataset_shuffled(1000, 5, epoch, 0) / 100]++;
    for (int i = 0; i < 10; i++)
        chi += (parts[i] - EPOCHS / 10.0) * (parts[i] - EPOCHS / 10.0) / (EPOCHS / 10.0);
    CHECK(chi < 9 + 4 * sqrt(18)); // 9 degrees of freedom, 4 sigma
}

int main(void)
{
    static char vocabulary[WORDS * 8 + 64] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    size_t used = strlen(vocabulary);
    for (uint32_t i = 0; i < WORDS; i++)
        used += (size_t)snprintf(vocabulary + used, sizeof(vocabulary) - used, "w%u\n", i);
    fixture_start();
    tok = fixture_tokenizer(vocabulary, "{\"do_lower_case\": true}");
    RUN(packed_rows_are_full_and_lose_nothing);
    RUN(long_texts_are_packed_in_pieces);
    RUN(pairs_are_as_google_makes_them);
    RUN(the_label_says_whether_b_follows);
    RUN(short_pairs_come_as_often_as_asked);
    RUN(a_single_document_pairs_with_itself);
    RUN(held_out_pairs_are_whole_documents);
    RUN(the_order_is_a_permutation_of_any_size);
    RUN(the_order_is_uniform);
    vkb_tokenizer_destroy(&tok);
    fixture_end();
    return check_report();
}
