package pgxprobe_test

import (
	"context"
	"fmt"
	"log"

	"github.com/echo-probes/echohealth/probes/pgxprobe"
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
