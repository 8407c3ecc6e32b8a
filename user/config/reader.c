// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* How much of a string is quoted; each byte takes up to four when escaped. */
#define QUOTED_BYTES_MAX 48

const char *config_quote(const char *string, size_t length_bytes,
			 char buffer[static CONFIG_QUOTE_MAX])
{
	struct text text = {.data = buffer, .size = CONFIG_QUOTE_MAX};

	text_printf(&text, "\"");
	for (size_t i = 0; i < length_bytes && i < QUOTED_BYTES_MAX; i++) {
		unsigned char c = (unsigned char)string[i];

		/* The message may go to a terminal: the file must not be able to send it commands.
		 */
		if (c == '"' || c == '\\')
			text_printf(&text, "\\%c", c);
		else if (c == '\n')
			text_printf(&text, "\\n");
		else if (c < 0x20 || c >= 0x7f)
			text_printf(&text, "\\x%02x", c);
		else
			text_printf(&text, "%c", c);
	}
	text_printf(&text, length_bytes > QUOTED_BYTES_MAX ? "...\"" : "\"");
	return buffer;
}

int config_reader_fail(const struct config_reader *reader, struct config_position position,
		       const char *path, const char *format, ...)
{
	va_list arguments;

	text_printf(reader->error, "%s:", reader->file);
	if (position.line)
		text_printf(reader->error, "%u:%u:", position.line, position.column);
	if (*path)
		text_printf(reader->error, " %s:", path);
	text_printf(reader->error, " ");
	va_start(arguments, format);
	text_vprintf(reader->error, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static struct config_position position_of(const yaml_mark_t *mark)
{
	return (struct config_position){
		.line = (unsigned int)mark->line + 1,
		.column = (unsigned int)mark->column + 1,
	};
}

/* libyaml knows only the byte at which a character cannot be read. */
static struct config_position position_of_byte(const struct config_reader *reader, size_t offset)
{
	struct config_position position = {.line = 1, .column = 1};

	for (size_t i = 0; i < offset && i < reader->size_bytes; i++) {
		if (reader->data[i] == '\n') {
			position.line++;
			position.column = 1;
		} else if ((reader->data[i] & 0xc0) != 0x80) {
			position.column++;
		}
	}
	return position;
}

static int fail_syntax(const struct config_reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	const char *problem = parser->problem ?: "it cannot be understood";
	int error;

	switch (parser->error) {
	case YAML_MEMORY_ERROR:
		error = -ENOMEM;
		break;
	case YAML_READER_ERROR:
		error = config_reader_fail(reader, position_of_byte(reader, parser->problem_offset),
					   "", "not a text file (%s), expected YAML in UTF-8",
					   problem);
		break;
	default:
		error = config_reader_fail(reader, position_of(&parser->problem_mark), "",
					   "not valid YAML: %s%s%s", problem,
					   parser->context ? " " : "", parser->context ?: "");
	}
	return error;
}

/* Properties that make a file mean something else than what is read there. */
static int refuse_properties(const struct config_reader *reader)
{
	const yaml_event_t *event = &reader->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	case YAML_ALIAS_EVENT:
		return config_reader_fail(reader, reader->position, "",
					  "found an alias (*), expected the value itself");
	default:
		break;
	}
	if (anchor)
		return config_reader_fail(reader, reader->position, "",
					  "found an anchor (&), expected a value without one");
	if (tag)
		return config_reader_fail(reader, reader->position, "",
					  "found a tag (!), expected a value without one");
	return 0;
}

int config_reader_next(struct config_reader *reader)
{
	yaml_event_delete(&reader->event);
	if (!yaml_parser_parse(&reader->parser, &reader->event))
		return fail_syntax(reader);
	reader->position = position_of(&reader->event.start_mark);
	return refuse_properties(reader);
}

int config_reader_open(struct config_reader *reader, const char *file, const void *data,
		       size_t size_bytes, struct text *error)
{
	*reader = (struct config_reader){
		.file = file,
		.data = data,
		.size_bytes = size_bytes,
		.error = error,
	};
	if (!yaml_parser_initialize(&reader->parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&reader->parser, data, size_bytes);
	return config_reader_next(reader);
}

void config_reader_close(struct config_reader *reader)
{
	yaml_event_delete(&reader->event);
	yaml_parser_delete(&reader->parser);
}

bool config_reader_is_null(const struct config_reader *reader)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	const yaml_event_t *event = &reader->event;

	if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp((const char *)event->data.scalar.value, words[i]))
			return true;
	return false;
}

const char *config_reader_found(const struct config_reader *reader,
				char buffer[static CONFIG_QUOTE_MAX])
{
	const yaml_event_t *event = &reader->event;
	struct text text = {.data = buffer, .size = CONFIG_QUOTE_MAX};

	if (config_reader_is_null(reader)) {
		text_printf(&text, "nothing");
	} else if (event->type == YAML_SCALAR_EVENT) {
		config_quote((const char *)event->data.scalar.value, event->data.scalar.length,
			     buffer);
	} else {
		text_printf(&text, "%s",
			    event->type == YAML_SEQUENCE_START_EVENT ? "a list" : "a mapping");
	}
	return buffer;
}
