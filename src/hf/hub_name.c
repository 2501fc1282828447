#include "hf/hub_name.h"

#include <stdio.h>
#include <string.h>

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_hexadecimal(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Whether `bytes` characters are letters, digits and "-_." alone.
static bool is_plain(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (!is_letter_or_digit(text[i]) && !strchr("-_.", text[i]))
            return false;
    return bytes > 0;
}

// huggingface_hub's rules: its cache joins a name's parts with "--".
static const char *check_repo(const char *text, size_t bytes)
{
    char repo[HUB_REPO_MAX + 1];
    if (bytes == 0)
        return "is empty";
    if (bytes > HUB_REPO_MAX)
        return "is longer than 96 characters";
    snprintf(repo, sizeof(repo), "%.*s", (int)bytes, text);
    const char *slash = strchr(repo, '/'), *name = slash ? slash + 1 : repo;
    if (strchr(name, '/'))
        return "has more than one \"/\", expected name or owner/name";
    if ((slash && !is_plain(repo, (size_t)(slash - repo))) || !is_plain(name, strlen(name)))
        return "is not made of letters, digits, \"-\", \"_\" and \".\" alone";
    if (strstr(repo, "--") || strstr(repo, ".."))
        return "has \"--\" or \"..\" in it";
    if (strchr("-.", repo[0]) || strchr("-.", repo[bytes - 1]))
        return "begins or ends with \"-\" or \".\"";
    return bytes > 4 && strcmp(repo + bytes - 4, ".git") == 0 ? "ends with .git" : NULL;
}

// What git allows in a ref, without what is special to shells and paths.
static const char *check_revision(const char *text)
{
    if (!*text)
        return "has no revision behind \"@\"";
    if (strlen(text) > HUB_REVISION_MAX)
        return "has a revision of more than 200 characters";
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7F || strchr("\\~^:?*[%\"", *c))
            return "has a revision with a character that git does not allow";
    if (!hub_is_file(text))
        return "has a revision that is no branch, tag or commit";
    return NULL;
}

const char *hub_name_parse(const char *text, const char *revision, hub_name *out)
{
    const char *at = strchr(text, '@');
    const size_t bytes = at ? (size_t)(at - text) : strlen(text);
    const bool given = revision && *revision;
    const char *wanted = given ? revision : at ? at + 1 : "main";
    const char *wrong = check_repo(text, bytes);
    if (!wrong)
        wrong = check_revision(wanted);
    if (wrong)
        return wrong;
    snprintf(out->repo, sizeof(out->repo), "%.*s", (int)bytes, text);
    snprintf(out->revision, sizeof(out->revision), "%s", wanted);
    return NULL;
}

bool hub_name_is_path(const char *text)
{
    const size_t bytes = strlen(text);
    return bytes && (text[0] == '/' || text[0] == '~' || text[bytes - 1] == '/' ||
                     strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0 ||
                     strcmp(text, ".") == 0 || strcmp(text, "..") == 0);
}

bool hub_is_commit(const char *text)
{
    size_t digits = 0;
    while (is_hexadecimal(text[digits]))
        digits++;
    return digits == HUB_COMMIT_DIGITS && !text[digits];
}

bool hub_is_etag(const char *text)
{
    const size_t bytes = strlen(text);
    return bytes <= HUB_ETAG_MAX && is_plain(text, bytes) && text[0] != '.';
}

bool hub_is_file(const char *text)
{
    for (;;) {
        const size_t bytes = strcspn(text, "/");
        if (bytes == 0 || bytes > 255 || (bytes == 1 && text[0] == '.') ||
            (bytes == 2 && text[0] == '.' && text[1] == '.'))
            return false;
        for (size_t i = 0; i < bytes; i++)
            if ((unsigned char)text[i] < ' ' || text[i] == '\\')
                return false;
        if (!text[bytes])
            return true;
        text += bytes + 1;
    }
}
