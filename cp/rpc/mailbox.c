#include "cp/rpc/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

struct mailbox {
	uv_async_t async;     /* its data: the mailbox */
	pthread_mutex_t lock; /* protects first and last; nothing else is locked under it */
	struct mail *first, *last;
};

static void woken(uv_async_t *async)
{
	mailbox_drain(async->data);
}

int mailbox_open(struct mailbox **out, struct uv_loop_s *loop)
{
	struct mailbox *m = calloc(1, sizeof(*m));
	int err;

	if (m == NULL)
		return -ENOMEM;
	err = uv_async_init(loop, &m->async, woken); /* libuv's errors are negative errnos */
	if (err != 0) {
		free(m);
		return err;
	}
	m->async.data = m;
	pthread_mutex_init(&m->lock, NULL);
	*out = m;
	return 0;
}

void mailbox_post(struct mailbox *m, struct mail *mail)
{
	mail->next = NULL;
	pthread_mutex_lock(&m->lock);
	if (m->last == NULL)
		m->first = mail;
	else
		m->last->next = mail;
	m->last = mail;
	pthread_mutex_unlock(&m->lock);
	uv_async_send(&m->async);
}

void mailbox_drain(struct mailbox *m)
{
	struct mail *mail, *next;

	pthread_mutex_lock(&m->lock);
	mail = m->first;
	m->first = m->last = NULL;
	pthread_mutex_unlock(&m->lock);
	for (; mail != NULL; mail = next) {
		next = mail->next;
		mail->deliver(mail);
	}
}

static void closed(uv_handle_t *async)
{
	struct mailbox *m = async->data;

	pthread_mutex_destroy(&m->lock);
	free(m);
}

void mailbox_close(struct mailbox *m)
{
	if (m != NULL)
		uv_close((uv_handle_t *)&m->async, closed);
}
