// The tests' few words. A test program is a row of TEST functions and a main that runs them:
//
//     TEST(reads_back_what_it_wrote) { CHECK(bytes == 3); CHECK_STR(text, "abc"); }
//     int main(void) { RUN(reads_back_what_it_wrote); return check_report(); }
//
// A failed CHECK prints what it saw and goes on; check_report returns 1 after any failure, and 77 (skipped, for ctest) when
// every test was skipped with SKIP("why").
#ifndef VKB_TESTS_CHECK_H
#define VKB_TESTS_CHECK_H

#include <math.h>
#include <stdio.h>
#include <string.h>

static int check_run, check_failed, check_skipped;
static int check_failures_of_test, check_skip_of_test;
static const char *check_case = ""; // what the running test is at, printed with a failure

#define TEST(name) static void test_##name(void)

#define RUN(name)                                                                                  \
    do {                                                                                           \
        check_failures_of_test = check_skip_of_test = 0;                                           \
        check_case = "";                                                                           \
        test_##name();                                                                             \
        check_run++;                                                                               \
        check_failed += check_failures_of_test > 0;                                                \
        check_skipped += check_skip_of_test;                                                       \
        printf("%s %s\n",                                                                          \
               check_failures_of_test ? "FAIL"                                                     \
               : check_skip_of_test   ? "skip"                                                     \
                                      : "ok  ",                                                      \
               #name);                                                                             \
        fflush(stdout);                                                                            \
    } while (0)

#define SKIP(...)                                                                                  \
    do {                                                                                           \
        printf("skipped: " __VA_ARGS__);                                                           \
        printf("\n");                                                                              \
        check_skip_of_test = 1;                                                                    \
        return;                                                                                    \
    } while (0)

#define CHECK_FAILED(...)                                                                          \
    do {                                                                                           \
        printf("%s:%d: %s%s", __FILE__, __LINE__, check_case, *check_case ? ": " : "");            \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        check_failures_of_test++;                                                                  \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            CHECK_FAILED("%s", #condition);                                                        \
    } while (0)

#define CHECK_INT(seen, expected)                                                                  \
    do {                                                                                           \
        long long seen_ = (long long)(seen), expected_ = (long long)(expected);                    \
        if (seen_ != expected_)                                                                    \
            CHECK_FAILED("%s is %lld, expected %lld", #seen, seen_, expected_);                    \
    } while (0)

#define CHECK_STR(seen, expected)                                                                  \
    do {                                                                                           \
        const char *seen_ = (seen), *expected_ = (expected);                                       \
        if (!seen_ || strcmp(seen_, expected_) != 0)                                               \
            CHECK_FAILED("%s is \"%s\", expected \"%s\"", #seen, seen_ ? seen_ : "(null)",         \
                         expected_);                                                               \
    } while (0)

#define CHECK_HAS(seen, part)                                                                      \
    do {                                                                                           \
        const char *seen_ = (seen), *part_ = (part);                                               \
        if (!strstr(seen_, part_))                                                                 \
            CHECK_FAILED("%s is \"%s\", expected to contain \"%s\"", #seen, seen_, part_);         \
    } while (0)

// NaN never passes.
#define CHECK_NEAR(seen, expected, tolerance)                                                      \
    do {                                                                                           \
        double seen_ = (seen), expected_ = (expected), tolerance_ = (tolerance);                   \
        if (!(fabs(seen_ - expected_) <= tolerance_))                                              \
            CHECK_FAILED("%s is %.9g, expected %.9g within %g", #seen, seen_, expected_,           \
                         tolerance_);                                                              \
    } while (0)

static inline int check_report(void)
{
    printf("%d tests, %d failed, %d skipped\n", check_run, check_failed, check_skipped);
    return check_failed ? 1 : check_run > 0 && check_skipped == check_run ? 77 : 0;
}

#endif
