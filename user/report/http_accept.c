// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/http_accept.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_MAX 1024

/* What follows "q=" in the parameters of one item; 1 when there is none, 0 when it makes no sense.
 */
static double weight_of(char *parameters)
{
	char *rest = NULL;
	double weight = 1;

	for (char *parameter = strtok_r(parameters, ";", &rest); parameter;
	     parameter = strtok_r(NULL, ";", &rest)) {
		parameter += strspn(parameter, " \t");
		if (!strncasecmp(parameter, "q=", 2))
			weight = strtod(parameter + 2, NULL);
	}
	return weight >= 0 && weight <= 1 ? weight : 0;
}

double http_accept_weight(const char *header, const char *item)
{
	char names[HEADER_MAX];
	char *rest = NULL;
	double weight = 0;

	if (!header || strlen(header) >= sizeof(names))
		return 0;
	memcpy(names, header, strlen(header) + 1);
	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		size_t length;

		name += strspn(name, " \t");
		length = strcspn(name, " \t;");
		if (length == strlen(item) && !strncasecmp(name, item, length))
			weight = fmax(weight, weight_of(name + length));
	}
	return weight;
}
