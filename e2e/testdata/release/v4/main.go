// An application outside this repository, on Echo v4, with every probe.
package main

import (
	"database/sql"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
)

func main() {
	e := echo.New()
	e.Use(middleware(nil, nil, nil))
	e.Logger.Fatal(e.Start(":8000"))
}

func middleware(pool *pgxpool.Pool, db *sql.DB, rdb *redis.Client) echo.MiddlewareFunc {
	return echohealth.Middleware(
		echohealth.WithDatabase(pgxprobe.New(pool)),
		echohealth.WithCheck("reports", sqlprobe.New(db)),
		echohealth.WithRedis(redisprobe.New(rdb)),
		echohealth.WithAMQP(amqpprobe.New("amqp://rabbit/")),
		echohealth.WithCelery(celeryprobe.New("amqp://rabbit/")),
		echohealth.WithCheck("search", httpprobe.New("http://search:9200/")),
	)
}
