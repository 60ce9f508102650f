/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libconfuse reads the grammar. Every value is taken as text with its line, so
 * that all judging happens later, in one place, with all errors in one run.
 * libconfuse keeps its lexer in globals: one lock is around each use. Its lexer
 * ends the process where malloc() fails, so memory is asked for beforehand.
 */
#include "conf/document.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <confuse.h>

#include "conf/scan.h"

struct document {
	struct scan scan;
	cfg_t *cfg;
};

static pthread_mutex_t confuse_lock = PTHREAD_MUTEX_INITIALIZER;

/* libconfuse stores what this returns, and frees it. */
static int
keep_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	size_t size = strlen(value) + 1;
	struct item *item = malloc(sizeof(*item) + size);

	(void)opt;
	if (item == NULL)
		return -1;
	item->line = (unsigned int)cfg->line;
	item->text = memcpy(item + 1, value, size);
	*(void **)result = item;
	return 0;
}

/* The options of one section, as libconfuse wants them. */
static size_t
fill_options(enum section section, cfg_opt_t *opts)
{
	size_t n = 0;

	for (unsigned int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = option_row((enum option)i);

		if (row->section != section)
			continue;
		memset(&opts[n], 0, sizeof(opts[n]));
		opts[n].name = row->name;
		opts[n].type = CFGT_PTR;
		opts[n].flags = CFGF_NODEFAULT;
		opts[n].parsecb = keep_value;
		opts[n].freecb = free;
		n++;
	}
	return n;
}

static cfg_t *
new_cfg(void)
{
	const cfg_opt_t end = CFG_END();
	cfg_opt_t options[SECTION_COUNT][OPTION_COUNT + SECTION_COUNT + 1];
	size_t n = fill_options(SECTION_ROOT, options[SECTION_ROOT]);

	for (unsigned int i = SECTION_ROOT + 1; i < SECTION_COUNT; i++) {
		const struct section_row *row = section_row((enum section)i);
		cfg_opt_t *opt = &options[SECTION_ROOT][n++];

		options[i][fill_options((enum section)i, options[i])] = end;
		memset(opt, 0, sizeof(*opt));
		opt->name = row->name;
		opt->type = CFGT_SEC;
		opt->flags = CFGF_MULTI | (row->titled ? CFGF_TITLE : 0);
		opt->subopts = options[i];
	}
	options[SECTION_ROOT][n] = end;
	return cfg_init(options[SECTION_ROOT], CFGF_NONE);
}

/* scan_text() has already said everything that libconfuse could say. */
static void
ignore_error(cfg_t *cfg, const char *format, va_list ap)
{
	(void)cfg;
	(void)format;
	(void)ap;
}

/* Is there as much memory as libconfuse is going to want? */
static bool
memory_is_there(const struct scan *scan)
{
	void *probe = malloc((1u << 20) + 8 * strlen(scan->text));
	bool there = probe != NULL;

	free(probe);
	return there;
}

static int
read_grammar(struct document *d, struct reporter *r)
{
	int rc = CFG_PARSE_ERROR;

	if (!memory_is_there(&d->scan)) {
		report_no_memory(r);
		return -1;
	}
	(void)pthread_mutex_lock(&confuse_lock);
	d->cfg = new_cfg();
	if (d->cfg != NULL) {
		(void)cfg_set_error_function(d->cfg, ignore_error);
		rc = cfg_parse_buf(d->cfg, d->scan.text);
	}
	(void)pthread_mutex_unlock(&confuse_lock);
	if (rc == CFG_SUCCESS)
		return 0;
	/*
	 * What scan_text() let through can only fail for want of memory, and
	 * then libconfuse (3.3, cfg_setopt()) may leave a section in its tree
	 * that is freed already. To lose the tree is better than to walk it.
	 */
	d->cfg = NULL;
	report_no_memory(r);
	return -1;
}

struct document *
document_parse(const char *text, size_t len, struct reporter *r)
{
	struct document *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		report_no_memory(r);
		return NULL;
	}
	if (scan_text(text, len, r, &d->scan) < 0)
		goto fail;
	if (d->scan.statements == 0) {
		report_error(r, 1, "file",
		    "nothing is configured in it; it must set something");
		goto fail;
	}
	if (read_grammar(d, r) < 0)
		goto fail;
	return d;
fail:
	document_free(&d);
	return NULL;
}

void
document_free(struct document **document)
{
	struct document *d = *document;

	if (d == NULL)
		return;
	if (d->cfg != NULL) {
		(void)pthread_mutex_lock(&confuse_lock);
		(void)cfg_free(d->cfg);
		(void)pthread_mutex_unlock(&confuse_lock);
	}
	scan_clear(&d->scan);
	free(d);
	*document = NULL;
}

size_t
document_block_count(const struct document *document, enum section section)
{
	if (section == SECTION_ROOT)
		return 1;
	return cfg_size(document->cfg, section_row(section)->name);
}

/* Both readers see the same sections in the same order. */
struct block
document_block(const struct document *document, enum section section, size_t i)
{
	struct block block = { .section = document->cfg,
		.scan = &document->scan,
		.title = "",
		.line = 1 };
	size_t n = 0;

	if (section == SECTION_ROOT)
		return block;
	block.section = cfg_getnsec(document->cfg, section_row(section)->name,
	    (unsigned int)i);
	for (size_t k = 0; k < document->scan.block_count; k++) {
		const struct scan_block *b = &document->scan.blocks[k];

		if (b->section != section || n++ != i)
			continue;
		block.title = b->title;
		block.line = b->line;
	}
	return block;
}

static cfg_opt_t *
get_option(const struct block *block, enum option option)
{
	if (block->section == NULL)
		return NULL;
	return cfg_getopt(block->section, option_row(option)->name);
}

bool
block_has(const struct block *block, enum option option)
{
	const cfg_opt_t *opt = get_option(block, option);

	return opt != NULL && (opt->flags & CFGF_MODIFIED) != 0;
}

/* NULL when it was not given, or takes no list. */
static const struct scan_list *
get_list(const struct block *block, enum option option)
{
	const struct item *number;

	if (option_row(option)->type != OPTION_TYPE_LIST ||
	    !block_has(block, option))
		return NULL;
	number = cfg_opt_getnptr(get_option(block, option), 0);
	return &block->scan->lists[strtoul(number->text, NULL, 10)];
}

struct items
block_items(const struct block *block, enum option option)
{
	const struct scan_list *list = get_list(block, option);
	struct items items = { .count = 0, .first = NULL };

	if (list != NULL && list->count > 0) {
		items.count = list->count;
		items.first = &block->scan->items[list->first];
	} else if (list == NULL && block_has(block, option)) {
		items.count = 1;
		items.first = cfg_opt_getnptr(get_option(block, option), 0);
	}
	return items;
}

unsigned int
block_line(const struct block *block, enum option option)
{
	const struct scan_list *list = get_list(block, option);
	struct items items = block_items(block, option);

	if (items.count > 0)
		return items.first[0].line;
	return list != NULL ? list->line : block->line;
}
