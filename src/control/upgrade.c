/* Another program in the place of the one that runs: asked of the supervisor, which ends this
 * process if it comes to that. What became of it is told to whichever control runs then. */
#include "control/control.h"

void upgrade_ask(struct portal_host *h)
{
	struct control *c = OWNER(h, struct control, host);
	c->upgrade.state = UPGRADE_RUNNING;
	link_send(&c->supervisor, upgrade);
}

void upgrade_heard(struct control *c, const struct msg_upgraded *m)
{
	c->upgrade.state = m->done ? UPGRADE_DONE : UPGRADE_FAILED;
	buf_clear(&c->upgrade.sentence);
	buf_add(&c->upgrade.sentence, m->sentence);
}

const struct portal_upgrade *upgrade_told(struct portal_host *h)
{
	return &OWNER(h, struct control, host)->upgrade;
}
