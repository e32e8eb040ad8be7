#include "files/parts.h"

/* clang-format off */
static const struct {
	const char *ending, *type;
} types[] = {
	{ "html", "text/html; charset=utf-8" }, { "htm", "text/html; charset=utf-8" },
	{ "css", "text/css; charset=utf-8" },
	{ "js", "text/javascript; charset=utf-8" }, { "mjs", "text/javascript; charset=utf-8" },
	{ "txt", "text/plain; charset=utf-8" }, { "md", "text/markdown; charset=utf-8" },
	{ "csv", "text/csv; charset=utf-8" }, { "ics", "text/calendar; charset=utf-8" },
	{ "vtt", "text/vtt; charset=utf-8" },
	{ "xml", "text/xml; charset=utf-8" }, { "xhtml", "application/xhtml+xml" },
	{ "rss", "application/rss+xml" }, { "atom", "application/atom+xml" },
	{ "json", "application/json" }, { "map", "application/json" },
	{ "webmanifest", "application/manifest+json" }, { "jsonld", "application/ld+json" },
	{ "geojson", "application/geo+json" }, { "wasm", "application/wasm" },
	{ "svg", "image/svg+xml" }, { "png", "image/png" }, { "apng", "image/apng" },
	{ "jpg", "image/jpeg" }, { "jpeg", "image/jpeg" }, { "gif", "image/gif" },
	{ "webp", "image/webp" }, { "avif", "image/avif" }, { "ico", "image/x-icon" },
	{ "bmp", "image/bmp" }, { "tif", "image/tiff" }, { "tiff", "image/tiff" },
	{ "woff", "font/woff" }, { "woff2", "font/woff2" }, { "ttf", "font/ttf" },
	{ "otf", "font/otf" },
	{ "mp3", "audio/mpeg" }, { "m4a", "audio/mp4" }, { "ogg", "audio/ogg" },
	{ "opus", "audio/ogg" }, { "flac", "audio/flac" }, { "wav", "audio/wav" },
	{ "mp4", "video/mp4" }, { "m4v", "video/mp4" }, { "webm", "video/webm" },
	{ "ogv", "video/ogg" }, { "mov", "video/quicktime" }, { "mkv", "video/x-matroska" },
	{ "pdf", "application/pdf" }, { "zip", "application/zip" }, { "gz", "application/gzip" },
	{ "br", "application/octet-stream" },
	{ "tgz", "application/gzip" }, { "xz", "application/x-xz" },
	{ "zst", "application/zstd" }, { "7z", "application/x-7z-compressed" },
	{ "tar", "application/x-tar" }, { "epub", "application/epub+zip" },
	{ "rtf", "application/rtf" }, { "odt", "application/vnd.oasis.opendocument.text" },
	{ "ods", "application/vnd.oasis.opendocument.spreadsheet" },
	{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
	{ "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
};
/* clang-format on */

struct str file_type(struct str name)
{
	size_t dot = name.n;
	while (dot > 0 && name.p[dot - 1] != '.' && name.p[dot - 1] != '/')
		dot--;
	struct str ending = str_from(name, dot);
	bool has_ending = dot > 0 && name.p[dot - 1] == '.';
	for (size_t i = 0; has_ending && i < sizeof types / sizeof *types; i++)
		if (str_eq_nocase(ending, str_c(types[i].ending)))
			return str_c(types[i].type);
	return STR("application/octet-stream");
}
