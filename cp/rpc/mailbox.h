/* mailbox.h - what the module's threads hand to the control thread: a queue and a uv_async_t.
 * Bounded by its users: a mail lies in the call or request it is about, which has one of a kind,
 * and a request with CLIENT_MESSAGES_MAX undelivered messages does not receive further ones.
 *
 * Thread:  mailbox_post() any; the others control.
 * Memory:  mail belongs to the poster and must live until it was delivered.
 */
#ifndef BELLWETHER_CP_RPC_MAILBOX_H
#define BELLWETHER_CP_RPC_MAILBOX_H

struct uv_loop_s;
struct mailbox; /* opaque: see mailbox.c */

struct mail {
	struct mail *next;
	void (*deliver)(struct mail *mail); /* control; may free the mail */
};

int mailbox_open(struct mailbox **out, struct uv_loop_s *loop);
void mailbox_post(struct mailbox *m, struct mail *mail);
/* Delivers what lies in it now, in the order in which it was posted. */
void mailbox_drain(struct mailbox *m);
/* Nobody may post any more. What lies in it is not delivered. The memory goes with the loop's next
 * turn. Takes NULL. */
void mailbox_close(struct mailbox *m);

#endif
