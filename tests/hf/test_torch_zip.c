// The zip reader: torch's archives, zip64, and every archive that says what is not so.
#include "tests/check.h"
#include "tests/hf/torch_build.h"

#include "hf/zip.h"

static vkb_context *ctx;

static vkb_status open_bytes(const blob *b, hf_zip *zip)
{
    const file_map map = {b->at, b->count};
    *zip = (hf_zip){0};
    return hf_zip_open(ctx, "x.bin", &map, zip);
}

// Frees b.
static void refuse(blob *b, const char *part)
{
    hf_zip zip;
    CHECK_INT(open_bytes(b, &zip), VKB_BAD_FILE);
    CHECK_HAS(vkb_error(ctx), "x.bin: ");
    CHECK_HAS(vkb_error(ctx), part);
    CHECK(!zip.entries);
    blob_free(b);
}

static void check_entry(const hf_zip *zip, const char *name, const char *data)
{
    const hf_zip_entry *entry = hf_zip_find(zip, name, strlen(name));
    check_case = name;
    CHECK(entry && entry->bytes == strlen(data) && memcmp(entry->data, data, entry->bytes) == 0);
    check_case = "";
}

// Three entries.
static zip_parts archive(void)
{
    zip_parts zip = {0};
    zip_add(&zip, "x/b", "two", 3);
    zip_add(&zip, "x/a", "first", 5);
    zip_add(&zip, "x/empty", "", 0);
    return zip;
}

TEST(finds_entries)
{
    zip_parts parts = archive();
    hf_zip zip;
    zip_finish(&parts);
    CHECK_INT(open_bytes(&parts.file, &zip), VKB_OK);
    CHECK_INT(zip.count, 3);
    check_entry(&zip, "x/a", "first");
    check_entry(&zip, "x/b", "two");
    check_entry(&zip, "x/empty", "");
    CHECK(!hf_zip_find(&zip, "x/", 2) && !hf_zip_find(&zip, "x/aa", 4) &&
          !hf_zip_find(&zip, "", 0));
    hf_zip_close(&zip);
    // with a comment, which may even hold the end of another archive
    parts.file.count -= 2;
    PUT(&parts.file, "\x1a\0ab");
    zip_end(&parts.file, 0, 0, 0);
    PUT(&parts.file, "cd");
    CHECK_INT(open_bytes(&parts.file, &zip), VKB_OK);
    CHECK_INT(zip.count, 3);
    hf_zip_close(&zip);
    blob_free(&parts.file);

    PUT(&parts.file, "PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    CHECK_INT(open_bytes(&parts.file, &zip), VKB_OK);
    CHECK_INT(zip.count, 0);
    hf_zip_close(&zip);
    blob_free(&parts.file);
}

// ---- zip64 ----

// The records of the end for a directory of `size` bytes at `at`.
static void end64(blob *b, uint64_t count, uint64_t size, uint64_t at)
{
    const uint64_t here = b->count;
    PUT(b, "PK\6\6\x2c\0\0\0\0\0\0\0\x1e\3\x2d\0\0\0\0\0\0\0\0\0");
    put_number(b, count, 8);
    put_number(b, count, 8);
    put_number(b, size, 8);
    put_number(b, at, 8);
    PUT(b, "PK\6\7\0\0\0\0");
    put_number(b, here, 8);
    put_number(b, 1, 4);
}

// An archive of one entry whose record has all its numbers in the zip64 field; `cut` bytes of the field
// are missing.
static blob archive64(size_t cut)
{
    blob b = {0}, extra = {0}, directory = {0};
    put_number(&b, 0, 3); // something in front
    PUT(&extra, "XX\2\0ab\1\0");
    put_number(&extra, 24 - cut, 2);
    put_number(&extra, 5, 8);
    put_number(&extra, 5, 8);
    put_number(&extra, 3, 8);
    extra.count -= cut;
    zip_record(&directory, 0x0808, 0, UINT32_MAX, UINT32_MAX, "x/a", &extra, UINT32_MAX);
    zip_local(&b, "x/a", "first", 5);
    const uint64_t at = b.count;
    put(&b, directory.at, directory.count);
    end64(&b, 1, directory.count, at);
    zip_end(&b, UINT16_MAX, UINT32_MAX, UINT32_MAX);
    blob_free(&extra);
    blob_free(&directory);
    return b;
}

TEST(reads_zip64)
{
    blob b = archive64(0);
    hf_zip zip;
    CHECK_INT(open_bytes(&b, &zip), VKB_OK);
    check_entry(&zip, "x/a", "first");
    hf_zip_close(&zip);
    blob_free(&b);
    // as torch does: zip64 records beside old ones that say it all
    zip_parts parts = archive();
    const uint64_t at = parts.file.count, size = parts.directory.count;
    put(&parts.file, parts.directory.at, parts.directory.count);
    end64(&parts.file, 3, size, at);
    zip_end(&parts.file, 3, size, at);
    CHECK_INT(open_bytes(&parts.file, &zip), VKB_OK);
    check_entry(&zip, "x/a", "first");
    hf_zip_close(&zip);
    blob_free(&parts.file);
    blob_free(&parts.directory);
}

TEST(refuses_broken_zip64)
{
    blob b;
    for (size_t cut = 1; cut <= 24; cut++) {
        b = archive64(cut);
        refuse(&b, "entry x/a has a broken zip64 field");
    }
    b = archive64(0);
    b.at[b.count - 22 - 20] = 'X'; // no locator
    refuse(&b, "its zip64 record is missing");
    b = archive64(0);
    b.at[b.count - 22 - 20 - 56] = 'X'; // no record
    refuse(&b, "its zip64 record is missing");
    b = archive64(0);
    memset(b.at + b.count - 22 - 12, 0xFF, 8); // outside
    refuse(&b, "its zip64 record is missing");
    b = archive64(0);
    b.at[b.count - 22 - 20 - 56 + 16] = 1;
    refuse(&b, "one of several parts");
    b = archive64(0);
    memset(b.at + b.count - 22 - 20 - 56 + 32, 0xFF, 8); // 2^64 entries
    refuse(&b, "fewer entries than it counts");
    b = archive64(0);
    memset(b.at + b.count - 22 - 20 - 56 + 40, 0xFF, 8); // 2^64 bytes
    refuse(&b, "not where its end says");
    b = archive64(0);
    memset(b.at + b.count - 22 - 20 - 56 + 48, 0xFF, 8); // at 2^64
    refuse(&b, "not where its end says");
}

// ---- Wrong ends and directories ----

TEST(refuses_an_end_that_is_not_so)
{
    static const struct {
        size_t back; // of the end record
        uint8_t value;
        const char *part;
    } cases[] = {
        {18, 1, "one of several parts"},
        {16, 1, "one of several parts"},
        {12, 2, "more than it counts"},
        {12, 4, "fewer entries than it counts"},
        {10, 7, "not where its end says"},
        {6, 7, "not where its end says"},
        {4, 7, "not where its end says"},
        {2, 1, "truncated"},
        {22, 'X', "truncated"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        zip_parts parts = archive();
        zip_finish(&parts);
        parts.file.at[parts.file.count - cases[i].back] = cases[i].value;
        refuse(&parts.file, cases[i].part);
    }
    blob b = {0};
    refuse(&b, "truncated");
    PUT(&b, "PK\3\4");
    refuse(&b, "truncated");
}

TEST(refuses_an_archive_cut_anywhere)
{
    for (int with64 = 0; with64 < 2; with64++) {
        zip_parts parts = archive();
        zip_finish(&parts);
        blob whole = with64 ? archive64(0) : parts.file;
        for (size_t count = 0; count < whole.count; count++) {
            blob cut = {malloc(count + !count), 0, count + !count};
            put(&cut, whole.at, count);
            refuse(&cut, "");
        }
        if (with64)
            blob_free(&whole);
        blob_free(&parts.file);
    }
}

// ---- Wrong entries ----

// An archive of "x/a" and an entry of 4 bytes whose record is the caller's; header -1: where it is.
static void refuse_entry(uint64_t flags, uint64_t method, uint64_t packed, uint64_t size,
                         const char *name, int64_t header, const char *part)
{
    zip_parts zip = {0};
    zip_add(&zip, "x/a", "first", 5);
    const uint64_t at = header < 0 ? zip.file.count : (uint64_t)header;
    zip_record(&zip.directory, flags, method, packed, size, name, NULL, at);
    zip_local(&zip.file, name, "four", 4);
    zip.count++;
    zip_finish(&zip);
    check_case = part;
    refuse(&zip.file, part);
    check_case = "";
}

TEST(refuses_entries_that_are_not_so)
{
    refuse_entry(0, 8, 4, 4, "x/b", -1, "entry x/b is compressed");
    refuse_entry(0, 8, 4, 1000000000, "x/b", -1, "entry x/b is compressed"); // a bomb
    refuse_entry(0, 0, 4, 1000000000, "x/b", -1, "entry x/b is compressed");
    refuse_entry(0, 0, 1000000000, 4, "x/b", -1, "entry x/b is compressed");
    refuse_entry(0, 12, 4, 4, "x/b", -1, "entry x/b is compressed");
    refuse_entry(1, 0, 4, 4, "x/b", -1, "entry x/b is encrypted");
    refuse_entry(0x40, 0, 4, 4, "x/b", -1, "entry x/b is encrypted");
    refuse_entry(0x2000, 0, 4, 4, "x/b", -1, "entry x/b is encrypted");
    refuse_entry(0, 0, 100, 100, "x/b", -1, "entry x/b does not lie inside");
    refuse_entry(0, 0, 1 << 30, 1 << 30, "x/b", -1, "entry x/b does not lie inside");
    refuse_entry(0, 0, 4, 4, "x/b", 0, "entry x/b has another name in its own header");
    refuse_entry(0, 0, 4, 4, "x/b", 1, "entry x/b has no header");
    refuse_entry(0, 0, 4, 4, "x/b", 1 << 20, "entry x/b has no header");
    refuse_entry(0, 0, 4, 4, "x/b", 0xFFFFFFFE, "entry x/b has no header");
    refuse_entry(0, 0, 4, 4, "x/a", -1, "entry x/a is there twice");
    refuse_entry(0, 0, 4, 4, "x/a", 0, "entry x/a lies inside another entry");
    static const char *const names[] = {"/etc/passwd", "../x", "x/../../y", "x/..",
                                        "..",          "x\\y", ""};
    for (size_t i = 0; i < BASE_COUNT(names); i++)
        refuse_entry(0, 0, 4, 4, names[i], -1, "has a name that leaves");
    refuse_entry(0, 8, 4, 4, "\x1b[2J", -1, "entry ?[2J is compressed"); // nothing for a terminal
}

// One entry's header inside the data of another, as a bomb has it whose entries share their bytes.
TEST(refuses_entries_that_overlap)
{
    blob inner = {0};
    zip_parts zip = {0};
    zip_local(&inner, "x/b", "four", 4);
    zip_add(&zip, "x/a", inner.at, inner.count);
    zip_record(&zip.directory, 0, 0, 4, 4, "x/b", NULL,
               zip.file.count - inner.count - 16); // 16: the sizes behind the data
    zip.count++;
    zip_finish(&zip);
    blob_free(&inner);
    refuse(&zip.file, "entry x/b lies inside another entry");
}

// Whatever byte of an archive is changed, what opens lies inside it.
TEST(no_changed_byte_leads_outside)
{
    blob whole = archive64(0);
    int opened = 0;
    for (size_t at = 0; at < whole.count; at++)
        for (int bit = 0; bit < 8; bit++) {
            hf_zip zip;
            whole.at[at] ^= (uint8_t)(1 << bit);
            if (open_bytes(&whole, &zip) == VKB_OK) {
                opened++;
                for (size_t i = 0; i < zip.count; i++)
                    CHECK(zip.entries[i].data >= whole.at &&
                          zip.entries[i].data + zip.entries[i].bytes <= whole.at + whole.count);
                hf_zip_close(&zip);
            }
            whole.at[at] ^= (uint8_t)(1 << bit);
        }
    CHECK(opened > 0); // of times, checksums and the data
    blob_free(&whole);
}

int main(void)
{
    ctx = vkb_context_create(NULL, NULL);
    RUN(finds_entries);
    RUN(reads_zip64);
    RUN(refuses_broken_zip64);
    RUN(refuses_an_end_that_is_not_so);
    RUN(refuses_an_archive_cut_anywhere);
    RUN(refuses_entries_that_are_not_so);
    RUN(refuses_entries_that_overlap);
    RUN(no_changed_byte_leads_outside);
    vkb_context_destroy(&ctx);
    return check_report();
}
