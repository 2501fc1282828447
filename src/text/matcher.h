// Greedy longest match of a word against the pieces, in time linear in the word's length:
// LinMaxMatch of "Fast WordPiece Tokenization" (Song, Salcianu, Song, Dopson, Zhou; EMNLP 2021),
// section 3.
//
// A trie of the pieces' bytes, with two roots: one for the piece that begins a word, one for those
// that go on ("##..."). Where a node has no child for the next byte, its pops are the pieces that
// greedy matching would have taken by then, and its link is the node where matching goes on: no
// byte is read twice.
#ifndef VKB_TEXT_MATCHER_H
#define VKB_TEXT_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MATCHER_NONE UINT32_MAX

typedef struct matcher_node {
    uint32_t link; // where matching goes on after the pops; MATCHER_NONE: the word is unknown
    uint32_t pops; // first of them in matcher.pops
    uint32_t pop_count;
} matcher_node;

typedef struct matcher_edge {
    uint32_t key;   // node << 8 | byte
    uint32_t child; // MATCHER_NONE: empty
} matcher_edge;

typedef struct text_matcher {
    matcher_node *nodes;
    size_t node_count, node_capacity;
    matcher_edge *edges;           // open addressing
    size_t edge_slots, edge_count; // slots: a power of two
    uint32_t *pops;
    size_t pop_total, pop_capacity;
    uint32_t first[2][256]; // children of both roots
} text_matcher;

enum { MATCHER_WORD = 0, MATCHER_REST = 1 }; // the roots

// Takes pieces[id], NULL where there is none; of equal ones the last. Those that begin with prefix
// go on a word, and only so: "#" is punctuation and never within a word. False: memory is
// exhausted, or the pieces have 2^24 bytes and more.
bool matcher_create(text_matcher *m, char *const *pieces, uint32_t count, const char *prefix);
void matcher_free(text_matcher *m);

// The pieces of a word into ids, at most `bytes` of them. Returns how many; 0: the word has no
// pieces, or is empty.
size_t matcher_match(const text_matcher *m, const char *word, size_t bytes, uint32_t *ids);

#endif
