package testserver_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestCeleryLifecycle(t *testing.T) {
	t.Parallel()
	redis := testserver.NewRedis(t)
	client := redisUser{redis}.client()
	defer client.Close()
	waiting := func() int64 { return client.LLen(t.Context(), "celery").Val() }
	worker := testserver.NewCelery(t, redis.URL())
	worker.Send(t, "celery", "tasks.add", 1, 2)
	require.Eventually(t, func() bool { return waiting() == 0 }, soon, quiet)

	worker.Stop(t)
	worker.Send(t, "celery", "tasks.add", 1, 2)
	assert.EqualValues(t, 1, waiting())
	worker.Start(t)
	require.Eventually(t, func() bool { return waiting() == 0 }, soon, quiet)

	worker.Freeze(t)
	worker.Kill(t)
	worker.Send(t, "celery", "tasks.add", 1, 2)
	time.Sleep(quiet)
	assert.EqualValues(t, 1, waiting())
}

func TestCeleryOptions(t *testing.T) {
	t.Parallel()
	rabbit := testserver.SharedRabbitMQ(t)
	testserver.NewCelery(t, rabbit.URL(),
		testserver.CeleryArgs("--pool", "solo", "--hostname", "one@here", "--queues", "mail"),
		testserver.CelerySettings("worker_enable_remote_control = True", "control_exchange = 'mine'"))
	_, channel := rabbitUser{rabbit}.mustConnect(t)
	queue, err := channel.QueueDeclarePassive("mail", false, false, false, false, nil)
	require.NoError(t, err)
	assert.Equal(t, 1, queue.Consumers)
	_, err = channel.QueueDeclarePassive("one@here.mine.pidbox", false, false, false, false, nil)
	require.NoError(t, err)
}
