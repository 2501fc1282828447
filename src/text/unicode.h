// What BERT's tokenizer asks about one code point, and UTF-8 in and out.
//
// The answers are the fast (Rust) tokenizer's, whose category tables are of Unicode 8 (2015):
// unicode_tables.h holds them, so that ids do not depend on the Unicode that the machine's library
// knows. Decomposition and lower case are utf8proc's.
#ifndef VKB_TEXT_UNICODE_H
#define VKB_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNICODE_REPLACEMENT 0xFFFDu

// Reads the code point at text[*at] and moves *at behind it. A byte that is not UTF-8 reads as
// U+FFFD; *invalid, when given, then counts it.
uint32_t unicode_read(const char *text, size_t bytes, size_t *at, size_t *invalid);

// Bytes that are not UTF-8.
size_t unicode_count_invalid(const char *text, size_t bytes);

// Writes code as 1 to 4 bytes.
size_t unicode_write(uint32_t code, char out[4]);

bool unicode_is_white_space(uint32_t code); // the property White_Space
bool unicode_is_dropped(uint32_t code);     // Cc, Cf, Co but not tab, LF, CR; U+FFFD
bool unicode_is_punctuation(uint32_t code); // P*, and ASCII's symbols too
bool unicode_is_cjk(uint32_t code);         // ideographs that become a word each
bool unicode_is_accent(uint32_t code);      // Mn
bool unicode_is_word(uint32_t code);        // \w of a regular expression

#endif
