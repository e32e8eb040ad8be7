#include "config/nearest.h"

void nearest_try(struct nearest *n, const char *word)
{
	const unsigned distance = str_distance(n->typed, str_c(word));
	if (!n->word || distance < n->distance) {
		n->word = word;
		n->distance = distance;
	}
}

bool nearest_is_close(const struct nearest *n)
{
	return n->word && n->distance <= (n->typed.n + 2) / 3;
}
