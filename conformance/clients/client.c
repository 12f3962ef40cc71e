/* A decoder as a server of the conformance suite: a skeleton in C99.
 *
 *     cc -O2 -o client conformance/clients/client.c
 *     refcodec conformance run --server ./client
 *
 * Put your own decoder into decode(). The one here reads the stream header and skips the rest.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 1 << 16 }; /* the longest request, its end included */

enum status { ACCEPT, REJECT, SKIP, ERROR };

static uint32_t crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFF;
    while (size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

/* Decode the stream INPUT to the file OUTPUT: the values of its features, least significant byte first, in C
 * order, one after the other. WORD is the class of Annex D where the stream is refused, else a reason. */
static enum status decode(const char *input, const char *output, const char **word)
{
    uint8_t head[9];
    FILE *file = fopen(input, "rb");
    if (!file)
        return *word = "the stream cannot be opened", ERROR;
    size_t size = fread(head, 1, sizeof head, file);
    fclose(file);
    if (size == 0 || memcmp(head, "\x89" "DFC", size < 4 ? size : 4) != 0)
        return *word = "signature", REJECT;
    if (size < sizeof head)
        return *word = "truncated", REJECT;
    if ((crc32(head, 7) & 0xFFFF) != (uint32_t)(head[7] << 8 | head[8]))
        return *word = "checksum", REJECT;
    if (head[4] >> 4 != 1 || (head[6] & 3) != 0) /* version_major, reserved_zero_2bits */
        return *word = "unsupported", REJECT;
    (void)output;
    return *word = "this skeleton does not decode features", SKIP;
}

/* The value of KEY in a request, with its escapes undone, or NULL; TEXT has room for a whole line. */
static char *member(const char *line, const char *key, char *text)
{
    char name[32], *end = text;
    snprintf(name, sizeof name, "\"%s\":", key);
    const char *from = strstr(line, name);
    if (!from || !(from = strchr(from + strlen(name), '"')))
        return NULL;
    for (from++; *from && *from != '"'; from++) {
        if (*from != '\\') {
            *end++ = *from;
        } else if (*++from == 'u') { /* a control character: all others come as they are */
            char digits[5] = {0};
            strncpy(digits, from + 1, 4);
            *end++ = (char)strtol(digits, NULL, 16);
            from += strlen(digits);
        } else {
            const char *at = strchr("b\bf\fn\nr\rt\t", *from);
            *end++ = at && *from ? at[1] : *from;
        }
    }
    *end = 0;
    return text;
}

int main(void)
{
    static char line[LINE], input[LINE], output[LINE];
    static const char *const names[] = {"accept", "reject", "skip", "error"};
    while (fgets(line, sizeof line, stdin)) {
        const char *number = strstr(line, "\"id\":"), *word = "";
        if (!number || !member(line, "input", input) || !member(line, "output", output))
            return 1;
        long id = strtol(number + 5, NULL, 10);
        enum status status = decode(input, output, &word);
        printf("{\"id\": %ld, \"status\": \"%s\", \"%s\": \"%s\"}\n", id, names[status],
               status == REJECT ? "class" : "reason", word);
        fflush(stdout);
    }
    return 0;
}
