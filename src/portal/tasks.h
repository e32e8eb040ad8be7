/* Tasks in the seed system's form. */
#ifndef PORTAL_TASKS_H
#define PORTAL_TASKS_H

#include "portal/call.h"

/* The task object; false: there is none of that id. */
bool task_object(struct json_writer *w, const char *key, struct str id);
/* Task, Steps and whatever else /details has, as members; for events, too. */
bool task_members(struct json_writer *w, struct str id);

#endif
