package e2e_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
)

// loadCompose reads deploy/compose.yaml like docker compose: it validates the schema, and resolves all names.
func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../deploy/compose.yaml"})
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

// variable returns a variable of a service's environment, which must have a value.
func variable(t *testing.T, service types.ServiceConfig, name string) string {
	t.Helper()
	value := service.Environment[name]
	require.NotNil(t, value, "%s: %s", service.Name, name)
	return *value
}

// The example must get its dependencies in the variables that it reads. The libraries must accept the URLs,
// and names and passwords must be those of the services.
func TestComposeURLs(t *testing.T) {
	project := loadCompose(t)
	example, postgres, rabbitmq := project.Services["example"], project.Services["postgres"], project.Services["rabbitmq"]
	for name := range example.Environment {
		assert.Contains(t, exampleVariables(t), name)
	}

	config, err := pgxpool.ParseConfig(variable(t, example, "DATABASE_URL"))
	require.NoError(t, err)
	assert.Equal(t, "postgres", config.ConnConfig.Host)
	assert.Equal(t, variable(t, postgres, "POSTGRES_USER"), config.ConnConfig.User)
	assert.Equal(t, variable(t, postgres, "POSTGRES_PASSWORD"), config.ConnConfig.Password)
	assert.Equal(t, variable(t, postgres, "POSTGRES_DB"), config.ConnConfig.Database)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()

	cache, err := redis.ParseURL(variable(t, example, "REDIS_URL"))
	require.NoError(t, err)
	assert.Equal(t, "redis:6379", cache.Addr)
	client := redis.NewClient(cache)
	defer client.Close()

	broker, err := url.Parse(variable(t, example, "BROKER_URL"))
	require.NoError(t, err)
	assert.Equal(t, "rabbitmq", broker.Hostname())
	assert.Equal(t, variable(t, rabbitmq, "RABBITMQ_DEFAULT_USER")+":"+variable(t, rabbitmq, "RABBITMQ_DEFAULT_PASS"), broker.User.String())

	h, err := echohealth.New(
		echohealth.WithDatabase(pgxprobe.New(pool)),
		echohealth.WithRedis(redisprobe.New(client)),
		echohealth.WithCelery(celeryprobe.New(broker.String())),
		echohealth.WithLogger(discard),
	)
	require.NoError(t, err)
	require.NoError(t, h.Close())
}

// Each service that the example waits for must have a health check.
func TestComposeDependencies(t *testing.T) {
	project := loadCompose(t)
	example := project.Services["example"]
	assert.Len(t, example.DependsOn, len(project.Services)-1)
	for name, dependency := range example.DependsOn {
		service := project.Services[name]
		assert.Equal(t, types.ServiceConditionHealthy, dependency.Condition, name)
		require.NotNil(t, service.HealthCheck, name)
		assert.Greater(t, len(service.HealthCheck.Test), 1, name)
		assert.Empty(t, service.Ports, "%s must not be published", name)
	}
}

func TestComposeExample(t *testing.T) {
	example := loadCompose(t).Services["example"]
	require.Len(t, example.Ports, 1)
	assert.EqualValues(t, examplePort(t), example.Ports[0].Target)
	assert.Equal(t, "127.0.0.1", example.Ports[0].HostIP)

	require.NotNil(t, example.StopGracePeriod)
	assert.GreaterOrEqual(t, time.Duration(*example.StopGracePeriod), exampleShutdown(t)+5*time.Second)

	require.NotNil(t, example.Build)
	assert.True(t, strings.HasSuffix(dockerfilePath, example.Build.Dockerfile), example.Build.Dockerfile)
	assert.DirExists(t, example.Build.Context)
	assert.Nil(t, example.HealthCheck, "the command of the Dockerfile counts")
}
