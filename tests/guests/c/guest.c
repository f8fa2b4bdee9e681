// Says what it is told, what time it is and what the dice show, and sets a note. The setting `try` asks for more.
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "plugin.h"

static void say(const char *format, ...) {
    char line[256];
    va_list parts;
    va_start(parts, format);
    vsnprintf(line, sizeof line, format, parts);
    va_end(parts);
    plugin_string_t text;
    plugin_string_set(&text, line);
    fangshi_host_log_write(1, &text);
}

// The seed of `rand` is the same in every run unless the plugin asks for one.
static double fraction(void) {
    return (double)rand() / ((double)RAND_MAX + 1);
}

static void try_a_file(void) {
    if (fopen("/etc/passwd", "r") == NULL) say("file %s", strerror(errno));
}

bool exports_fangshi_store_on_pay_handle(exports_fangshi_store_on_pay_own_event_t event,
                                         exports_fangshi_store_on_pay_own_order_t order,
                                         exports_fangshi_store_on_pay_pay_t *pay,
                                         exports_fangshi_store_on_pay_failure_t *failure) {
    bool well = true;
    plugin_string_t order_id;
    fangshi_host_events_method_event_order_id(fangshi_host_events_borrow_event(event), &order_id);
    say("paid %.*s %" PRId64, (int)order_id.len, (char *)order_id.ptr, pay->pay_time);

    fangshi_store_order_price_price_info_t price;
    fangshi_store_order_price_price(fangshi_store_orders_borrow_order(order), &price);
    say("price %" PRId64, price.order_price);

    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    say("time %lld.%03ld", (long long)now.tv_sec, now.tv_nsec / 1000000);

    unsigned seed;
    getentropy(&seed, sizeof seed);
    srand(seed);
    double one = fraction(), other = fraction();
    say("random %f %f", one, other);

    // The library keeps what is printed until it is told to let go: the plugin does not end with its hook.
    puts("printed 打印");
    fflush(stdout);

    plugin_string_t note;
    plugin_string_set(&note, "备注");
    fangshi_store_notes_error_t refused;
    if (fangshi_store_notes_set_merchant_notes(&order_id, &note, &refused)) {
        say("noted");
    } else {
        if (refused.tag == FANGSHI_HOST_ERRORS_ERROR_CONFLICT)
            say("conflict %.*s", (int)refused.val.conflict.len, (char *)refused.val.conflict.ptr);
        fangshi_store_notes_error_free(&refused);
    }

    plugin_string_t name, wish;
    plugin_string_set(&name, "try");
    if (fangshi_host_settings_get(&name, &wish)) {
        char *word = strndup((char *)wish.ptr, wish.len);
        if (strcmp(word, "file") == 0) try_a_file();
        if (strcmp(word, "crash") == 0) abort();
        if (strcmp(word, "reject") == 0) {
            failure->tag = FANGSHI_HOST_OUTCOMES_FAILURE_REJECT;
            plugin_string_dup(&failure->val.reject, "不要");
            well = false;
        }
        free(word);
        plugin_string_free(&wish);
    }
    plugin_string_free(&order_id);
    fangshi_host_events_event_drop_own(event);
    fangshi_store_orders_order_drop_own(order);
    return well;
}
