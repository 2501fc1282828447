// WordPiece: a word as the pieces of a vocabulary.
#ifndef VKB_TEXT_WORDPIECE_H
#define VKB_TEXT_WORDPIECE_H

#include "text/normalise.h"
#include "text/vocabulary.h"
#include "vkbert.h"

// Appends the pieces of the word [begin, end) of a normalised text: from each place the longest
// piece that fits, later ones with "##" before them. A word with a place where none fits, or of
// more than max_chars code points, is one token `unknown`. False: memory is exhausted.
bool text_wordpiece(const text_vocabulary *v, uint32_t unknown, uint32_t max_chars,
                    const text_normal *normal, size_t begin, size_t end, uint32_t type,
                    vkb_tokens *out);

#endif
