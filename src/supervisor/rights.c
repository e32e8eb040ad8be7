#include "supervisor/inside.h"
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define BIT(capability) (UINT64_C(1) << (capability))
#define RIGHTS_BECOME   (BIT(CAP_SETUID) | BIT(CAP_SETGID))
#define RIGHTS_USED     (RIGHTS_BECOME | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_KILL))
#define RIGHTS_LOOK     (BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH))

static uint64_t permitted(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void set_all(uint64_t keep, uint64_t effective, uint64_t inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	for (unsigned i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			.permitted = (uint32_t)(keep >> 32 * i),
			.effective = (uint32_t)(effective >> 32 * i),
			.inheritable = (uint32_t)(inheritable >> 32 * i),
		};
	/* Less than we have: refused only by a kernel without capabilities. */
	(void)!syscall(SYS_capset, &header, data);
}

static void set(uint64_t keep, uint64_t effective)
{
	set_all(keep, effective, /* inheritable= */ 0);
}

/* The bounding set stays: an exec by root gets all of it, and control needs it at its start. */
void rights_drop(void)
{
	uint64_t keep = permitted() & (RIGHTS_USED | RIGHTS_LOOK);
	set(keep, keep & RIGHTS_USED);
}

void rights_look(bool on)
{
	uint64_t keep = permitted();
	set(keep, on ? keep & (RIGHTS_USED | RIGHTS_LOOK) : keep & RIGHTS_USED);
}

bool rights_may_become(void)
{
	uint64_t both = BIT(CAP_SETUID) | BIT(CAP_SETGID);
	return (permitted() & both) == both;
}

/* capabilities(7): of a user other than root an exec keeps what is ambient, and nothing can be that
 * is not inheritable. */
void rights_carry(bool on)
{
	uint64_t keep = permitted();
	set_all(keep, keep & RIGHTS_USED, on ? keep : 0);
	for (unsigned bit = 0; on && bit <= CAP_LAST_CAP; bit++)
		if (keep & BIT(bit))
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0);
}
