package pgxprobe_test

import (
	"context"
	"fmt"
	"log"

	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func Example() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@localhost/app?connect_timeout=2")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	database := pgxprobe.New(pool)
	defer database.Close() // echohealth does this itself

	result := database.Check(context.Background())
	fmt.Println(result.Status, result.Reason, result.Details)
}

// The pool's hook sets the tenant of row-level security. BaseContext sets the tenant of the checks.
func ExampleBaseContext() {
	type tenant struct{}
	config, err := pgxpool.ParseConfig("postgres://app@localhost/app?connect_timeout=2")
	if err != nil {
		log.Fatal(err)
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		_, err := conn.Exec(ctx, "SELECT set_config('app.tenant', $1, false)", ctx.Value(tenant{}))
		return err == nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	base := context.WithValue(context.Background(), tenant{}, "health")
	database := pgxprobe.New(pool, pgxprobe.BaseContext(base))
	defer database.Close()
	result := database.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
}

func ExampleRequireWritable() {
	pool, err := pgxpool.New(context.Background(), "postgres://app@localhost/app?connect_timeout=2")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	database := pgxprobe.New(pool, pgxprobe.RequireWritable())
	defer database.Close()
	// On a standby: "error read_only".
	result := database.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
}
