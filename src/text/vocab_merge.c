// Byte-pair encoding's loop over a heap that is never repaired: whenever the count of a pair
// changes, the pair is pushed anew, and an entry whose count is no longer its pair's is dropped
// when it comes up.
#include "text/vocab_merge.h"

#include "base/array.h"

#include <stdlib.h>

// ---- Pieces ----

uint32_t pieces_add(text_pieces *pieces, const char *head, const char *tail, size_t tail_bytes)
{
    size_t head_bytes = strlen(head);
    uint32_t hash = vocabulary_hash(VOCABULARY_HASH_START, head, head_bytes);
    hash = vocabulary_hash(hash, tail, tail_bytes);
    uint32_t id = vocabulary_find_hashed(&pieces->index, hash, head, head_bytes, tail, tail_bytes);
    if (id != VOCABULARY_NONE)
        return id;
    char *piece = malloc(head_bytes + tail_bytes + 1);
    if (!piece || !array_reserve(pieces, pieces->count + 1)) {
        free(piece);
        return VOCABULARY_NONE;
    }
    memcpy(piece, head, head_bytes);
    memcpy(piece + head_bytes, tail, tail_bytes);
    piece[head_bytes + tail_bytes] = 0;
    id = (uint32_t)pieces->count;
    pieces->at[pieces->count++] = piece;
    pieces->index.pieces = pieces->at;
    return vocabulary_insert(&pieces->index, id) ? id : VOCABULARY_NONE;
}

void pieces_free(text_pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++)
        free(pieces->at[i]);
    free(pieces->at);
    vocabulary_free(&pieces->index);
    *pieces = (text_pieces){0};
}

// ---- Pairs ----

typedef struct index_list {
    uint32_t *at;
    size_t count, capacity;
} index_list;

typedef struct merge_pair {
    uint32_t left, right;
    uint64_t count;
    bool touched;     // is in merger's touched
    index_list words; // where it occurs, or did; one may stand there twice
} merge_pair;

typedef struct heap_entry {
    uint64_t count;
    uint32_t left, right, pair;
} heap_entry;

typedef struct merger {
    struct pair_list {
        merge_pair *at;
        size_t count, capacity;
    } pairs;
    uint32_t *slots; // index + 1 into pairs; 0: empty
    size_t slot_count;
    struct heap {
        heap_entry *at;
        size_t count, capacity;
    } heap;
    index_list touched; // pairs whose count changed since they were last pushed
} merger;

static void merger_free(merger *m)
{
    for (size_t i = 0; i < m->pairs.count; i++)
        free(m->pairs.at[i].words.at);
    free(m->pairs.at);
    free(m->slots);
    free(m->heap.at);
    free(m->touched.at);
}

static bool append(index_list *list, uint32_t index)
{
    if (!array_reserve(list, list->count + 1))
        return false;
    list->at[list->count++] = index;
    return true;
}

// The slot that holds the pair, or the empty one where it belongs.
static uint32_t *slot_of(const merger *m, uint32_t left, uint32_t right)
{
    uint64_t hash = (((uint64_t)left << 32) | right) * 0x9E3779B97F4A7C15u;
    for (size_t i = (size_t)(hash >> 20);; i++) {
        uint32_t *slot = &m->slots[i & (m->slot_count - 1)];
        if (*slot == 0)
            return slot;
        const merge_pair *pair = &m->pairs.at[*slot - 1];
        if (pair->left == left && pair->right == right)
            return slot;
    }
}

static bool grow_slots(merger *m)
{
    size_t slot_count = m->slot_count ? m->slot_count * 2 : 4096;
    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (!slots)
        return false;
    free(m->slots);
    m->slots = slots;
    m->slot_count = slot_count;
    for (size_t i = 0; i < m->pairs.count; i++)
        *slot_of(m, m->pairs.at[i].left, m->pairs.at[i].right) = (uint32_t)i + 1;
    return true;
}

// The pair's record, made when it is new; NULL when memory is exhausted. Valid until the next call.
static merge_pair *pair_of(merger *m, uint32_t left, uint32_t right)
{
    if (m->pairs.count >= m->slot_count / 2 && !grow_slots(m))
        return NULL;
    uint32_t *slot = slot_of(m, left, right);
    if (*slot == 0) {
        if (!array_reserve(&m->pairs, m->pairs.count + 1))
            return NULL;
        m->pairs.at[m->pairs.count++] = (merge_pair){.left = left, .right = right};
        *slot = (uint32_t)m->pairs.count;
    }
    return &m->pairs.at[*slot - 1];
}

// ---- Heap: the highest count on top, then the smaller (left, right) ----

static bool is_above(const heap_entry *a, const heap_entry *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static bool heap_push(struct heap *heap, heap_entry entry)
{
    if (!array_reserve(heap, heap->count + 1))
        return false;
    size_t i = heap->count++;
    for (; i > 0 && is_above(&entry, &heap->at[(i - 1) / 2]); i = (i - 1) / 2)
        heap->at[i] = heap->at[(i - 1) / 2];
    heap->at[i] = entry;
    return true;
}

static heap_entry heap_pop(struct heap *heap)
{
    heap_entry top = heap->at[0], last = heap->at[--heap->count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < heap->count; i = child) {
        if (child + 1 < heap->count && is_above(&heap->at[child + 1], &heap->at[child]))
            child++;
        if (!is_above(&heap->at[child], &last))
            break;
        heap->at[i] = heap->at[child];
    }
    heap->at[i] = last;
    return top;
}

// ---- Merging ----

// Takes the word's pairs out of the counts, or puts them in; those with piece `fresh` in them learn
// that they occur in this word (VOCABULARY_NONE: all do).
static bool count_pairs(merger *m, const merge_word *word, uint32_t index, bool in, uint32_t fresh)
{
    for (uint32_t i = 0; i + 1 < word->length; i++) {
        uint32_t left = word->pieces[i], right = word->pieces[i + 1];
        merge_pair *pair = pair_of(m, left, right);
        if (!pair)
            return false;
        pair->count += in ? word->count : -word->count;
        const index_list *in_words = &pair->words;
        bool learns = in && (fresh == VOCABULARY_NONE || left == fresh || right == fresh) &&
                      !(in_words->count && in_words->at[in_words->count - 1] == index);
        if (learns && !append(&pair->words, index))
            return false;
        if (!pair->touched && !append(&m->touched, (uint32_t)(pair - m->pairs.at)))
            return false;
        pair->touched = true;
    }
    return true;
}

static bool has_pair(const merge_word *word, uint32_t left, uint32_t right)
{
    for (uint32_t i = 0; i + 1 < word->length; i++)
        if (word->pieces[i] == left && word->pieces[i + 1] == right)
            return true;
    return false;
}

static void join_pair(merge_word *word, uint32_t left, uint32_t right, uint32_t joined)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < word->length; i++) {
        bool here = i + 1 < word->length && word->pieces[i] == left && word->pieces[i + 1] == right;
        word->pieces[kept++] = here ? joined : word->pieces[i];
        i += here;
    }
    word->length = kept;
}

static bool push_touched(merger *m)
{
    for (size_t i = 0; i < m->touched.count; i++) {
        uint32_t index = m->touched.at[i];
        merge_pair *pair = &m->pairs.at[index];
        pair->touched = false;
        heap_entry entry = {pair->count, pair->left, pair->right, index};
        if (pair->count && !heap_push(&m->heap, entry))
            return false;
    }
    m->touched.count = 0;
    return true;
}

static uint32_t joined_piece(text_pieces *pieces, uint32_t left, uint32_t right)
{
    const char *tail = pieces->at[right];
    if (strncmp(tail, "##", 2) == 0)
        tail += 2;
    return pieces_add(pieces, pieces->at[left], tail, strlen(tail));
}

static bool merge_pair_everywhere(merger *m, text_pieces *pieces, merge_word *words,
                                  const heap_entry *top)
{
    uint32_t joined = joined_piece(pieces, top->left, top->right);
    if (joined == VOCABULARY_NONE)
        return false;
    index_list where = m->pairs.at[top->pair].words;
    m->pairs.at[top->pair].words = (index_list){0};
    bool ok = true;
    for (size_t i = 0; ok && i < where.count; i++) {
        merge_word *word = &words[where.at[i]];
        if (!has_pair(word, top->left, top->right))
            continue; // another merge took it
        ok = count_pairs(m, word, where.at[i], false, joined);
        join_pair(word, top->left, top->right, joined);
        ok = ok && count_pairs(m, word, where.at[i], true, joined);
    }
    free(where.at);
    return ok && push_touched(m);
}

bool vocab_merge(text_pieces *pieces, merge_word *words, size_t word_count, uint32_t vocab_size,
                 uint64_t min_frequency)
{
    merger m = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < word_count; i++)
        ok = count_pairs(&m, &words[i], (uint32_t)i, true, VOCABULARY_NONE);
    ok = ok && push_touched(&m);
    while (ok && pieces->count < vocab_size && m.heap.count) {
        heap_entry top = heap_pop(&m.heap);
        if (top.count != m.pairs.at[top.pair].count)
            continue; // it was pushed again when its count changed
        if (top.count < min_frequency)
            break;
        ok = merge_pair_everywhere(&m, pieces, words, &top);
    }
    merger_free(&m);
    return ok;
}
