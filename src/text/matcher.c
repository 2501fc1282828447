#include "text/matcher.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NODES = 1 << 24 }; // an edge's key has 24 bits for its node

// ---- The trie ----

static size_t edge_place(const text_matcher *m, uint32_t key)
{
    uint32_t hash = key * 0x9E3779B1u; // Knuth's multiplicative hash; high bits mix best
    return (hash ^ hash >> 15) & (m->edge_slots - 1);
}

static matcher_edge *edge_find(const text_matcher *m, uint32_t key)
{
    size_t at = edge_place(m, key);
    while (m->edges[at].child != MATCHER_NONE && m->edges[at].key != key)
        at = (at + 1) & (m->edge_slots - 1);
    return &m->edges[at];
}

static inline uint32_t child_of(const text_matcher *m, uint32_t node, uint8_t byte)
{
    if (node <= MATCHER_REST)
        return m->first[node][byte];
    return edge_find(m, node << 8 | byte)->child;
}

static bool edges_grow(text_matcher *m)
{
    text_matcher larger = *m;
    larger.edge_slots = m->edge_slots ? m->edge_slots * 2 : 1024;
    larger.edges = malloc(larger.edge_slots * sizeof(*larger.edges));
    if (!larger.edges)
        return false;
    memset(larger.edges, 0xFF, larger.edge_slots * sizeof(*larger.edges)); // all MATCHER_NONE
    for (size_t i = 0; i < m->edge_slots; i++)
        if (m->edges[i].child != MATCHER_NONE)
            *edge_find(&larger, m->edges[i].key) = m->edges[i];
    free(m->edges);
    *m = larger;
    return true;
}

static uint32_t node_add(text_matcher *m)
{
    if (m->node_count == m->node_capacity) {
        size_t wanted = m->node_capacity ? m->node_capacity * 2 : 4096;
        matcher_node *larger =
            wanted > MOST_NODES ? NULL : realloc(m->nodes, wanted * sizeof(*larger));
        if (!larger)
            return MATCHER_NONE;
        m->nodes = larger;
        m->node_capacity = wanted;
    }
    m->nodes[m->node_count] = (matcher_node){.link = MATCHER_NONE};
    return (uint32_t)m->node_count++;
}

static uint32_t child_add(text_matcher *m, uint32_t node, uint8_t byte)
{
    uint32_t child = child_of(m, node, byte);
    if (child != MATCHER_NONE)
        return child;
    child = node_add(m);
    if (child == MATCHER_NONE)
        return MATCHER_NONE;
    if (node <= MATCHER_REST) {
        m->first[node][byte] = child;
        return child;
    }
    if (m->edge_count * 2 >= m->edge_slots && !edges_grow(m))
        return MATCHER_NONE;
    *edge_find(m, node << 8 | byte) = (matcher_edge){node << 8 | byte, child};
    m->edge_count++;
    return child;
}

// ---- Links and pops ----

// A node while the trie is built, in the order of breadth.
typedef struct building {
    uint32_t *parent, *piece; // piece: the id that ends here, or MATCHER_NONE
    uint8_t *byte;
} building;

static bool pop_append(text_matcher *m, const uint32_t *ids, size_t count)
{
    if (m->pop_total + count > m->pop_capacity) {
        size_t wanted = (m->pop_total + count) * 2 + 1024;
        uint32_t *larger = wanted > UINT32_MAX ? NULL : realloc(m->pops, wanted * sizeof(*larger));
        if (!larger)
            return false;
        m->pops = larger;
        m->pop_capacity = wanted;
    }
    memcpy(m->pops + m->pop_total, ids, count * sizeof(*ids));
    m->pop_total += count;
    return true;
}

// Copies the pops of a node behind the others; m->pops may move.
static bool pop_copy(text_matcher *m, uint32_t node)
{
    const matcher_node from = m->nodes[node];
    for (uint32_t i = 0; i < from.pop_count; i++)
        if (!pop_append(m, &(uint32_t){m->pops[from.pops + i]}, 1))
            return false;
    return true;
}

// Equations 2 and 3 of the paper, for a node whose parent is done.
static bool node_link(text_matcher *m, const building *b, uint32_t node)
{
    matcher_node *n = &m->nodes[node];
    if (b->piece[node] != MATCHER_NONE) {
        n->link = MATCHER_REST;
        n->pops = (uint32_t)m->pop_total;
        n->pop_count = 1;
        return pop_append(m, &b->piece[node], 1);
    }
    const uint32_t parent = b->parent[node];
    uint32_t at = m->nodes[parent].link;
    if (at == MATCHER_NONE)
        return true;
    if (child_of(m, at, b->byte[node]) != MATCHER_NONE) { // the parent's pops, shared
        n->pops = m->nodes[parent].pops;
        n->pop_count = m->nodes[parent].pop_count;
        n->link = child_of(m, at, b->byte[node]);
        return true;
    }
    const size_t start = m->pop_total;
    if (!pop_copy(m, parent))
        return false;
    while (at != MATCHER_NONE && child_of(m, at, b->byte[node]) == MATCHER_NONE) {
        if (!pop_copy(m, at))
            return false;
        at = m->nodes[at].link;
    }
    if (at == MATCHER_NONE) {
        m->pop_total = start;
        return true;
    }
    n->pops = (uint32_t)start;
    n->pop_count = (uint32_t)(m->pop_total - start);
    n->link = child_of(m, at, b->byte[node]);
    return true;
}

// The nodes by depth: a link leads to a node that is less deep.
static bool link_all(text_matcher *m, const building *b)
{
    const size_t count = m->node_count;
    uint32_t *depth = calloc(count, sizeof(*depth)), *order = malloc(count * sizeof(*order));
    size_t *starts = calloc(count + 2, sizeof(*starts));
    bool ok = depth && order && starts;
    for (size_t i = MATCHER_REST + 1; ok && i < count; i++) { // children come behind their parents
        depth[i] = depth[b->parent[i]] + 1;
        starts[depth[i] + 1]++;
    }
    for (size_t i = 1; ok && i < count + 2; i++)
        starts[i] += starts[i - 1];
    for (size_t i = MATCHER_REST + 1; ok && i < count; i++)
        order[starts[depth[i]]++] = (uint32_t)i;
    for (size_t i = 0; ok && i < count - (MATCHER_REST + 1); i++)
        ok = node_link(m, b, order[i]);
    free(depth);
    free(order);
    free(starts);
    return ok;
}

static bool building_grow(building *b, size_t *room, size_t wanted)
{
    if (wanted <= *room)
        return true;
    size_t larger = wanted * 2;
    uint32_t *parent = realloc(b->parent, larger * sizeof(*parent));
    b->parent = parent ? parent : b->parent;
    uint32_t *piece = realloc(b->piece, larger * sizeof(*piece));
    b->piece = piece ? piece : b->piece;
    uint8_t *byte = realloc(b->byte, larger);
    b->byte = byte ? byte : b->byte;
    *room = larger;
    return parent && piece && byte;
}

static bool piece_insert(text_matcher *m, building *b, size_t *room, uint32_t root,
                         const char *text, uint32_t id)
{
    uint32_t node = root;
    for (; *text; text++) {
        size_t before = m->node_count;
        uint32_t child = child_add(m, node, (uint8_t)*text);
        if (child == MATCHER_NONE || !building_grow(b, room, m->node_count))
            return false;
        if (m->node_count > before) {
            b->parent[child] = node;
            b->piece[child] = MATCHER_NONE;
            b->byte[child] = (uint8_t)*text;
        }
        node = child;
    }
    if (node != root)
        b->piece[node] = id;
    return true;
}

bool matcher_create(text_matcher *m, char *const *pieces, uint32_t count, const char *prefix)
{
    const size_t prefix_bytes = strlen(prefix);
    building b = {0};
    size_t room = 0;
    *m = (text_matcher){0};
    memset(m->first, 0xFF, sizeof(m->first));
    bool ok = edges_grow(m) && node_add(m) == MATCHER_WORD && node_add(m) == MATCHER_REST &&
              building_grow(&b, &room, 2);
    for (uint32_t id = 0; ok && id < count; id++) {
        if (!pieces[id])
            continue;
        const bool rest = strncmp(pieces[id], prefix, prefix_bytes) == 0;
        ok = piece_insert(m, &b, &room, rest ? MATCHER_REST : MATCHER_WORD,
                          pieces[id] + (rest ? prefix_bytes : 0), id);
    }
    ok = ok && link_all(m, &b);
    free(b.parent);
    free(b.piece);
    free(b.byte);
    if (!ok)
        matcher_free(m);
    return ok;
}

void matcher_free(text_matcher *m)
{
    free(m->nodes);
    free(m->edges);
    free(m->pops);
    *m = (text_matcher){0};
}

// ---- Matching ----

// Appends the pops of a node. A word of n bytes has at most n pieces, and pops are pieces of it.
static inline size_t take_pops(const text_matcher *m, const matcher_node *node, uint32_t *ids,
                               size_t count)
{
    for (uint32_t i = 0; i < node->pop_count; i++)
        ids[count++] = m->pops[node->pops + i];
    return count;
}

size_t matcher_match(const text_matcher *m, const char *word, size_t bytes, uint32_t *ids)
{
    uint32_t at = MATCHER_WORD;
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint32_t child;
        while ((child = child_of(m, at, (uint8_t)word[i])) == MATCHER_NONE) {
            const matcher_node *node = &m->nodes[at];
            if (node->link == MATCHER_NONE)
                return 0;
            count = take_pops(m, node, ids, count);
            at = node->link;
        }
        at = child;
    }
    while (at != MATCHER_REST) { // the rest of the word, as if a byte followed that no piece has
        const matcher_node *node = &m->nodes[at];
        if (node->link == MATCHER_NONE)
            return 0;
        count = take_pops(m, node, ids, count);
        at = node->link;
    }
    return count;
}
