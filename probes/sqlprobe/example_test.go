package sqlprobe_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

func Example() {
	db, err := sql.Open("pgx", "postgres://app@localhost/app")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	database := sqlprobe.New(db)
	defer database.Close() // echohealth does this itself

	result := database.Check(context.Background())
	fmt.Println(result.Status, result.Reason, result.Details)
}

// With a connector the probe tests whether new connections can be made.
func ExampleConnector() {
	config, err := pgx.ParseConfig("postgres://app@localhost/app?connect_timeout=2")
	if err != nil {
		log.Fatal(err)
	}
	connector := stdlib.GetConnector(*config)
	db := sql.OpenDB(connector)
	defer db.Close()

	database := sqlprobe.New(db, sqlprobe.Connector(connector))
	defer database.Close()
	result := database.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
}

func ExampleQuery() {
	db := sql.OpenDB(fakeDriver{works, works}) // the application's pool
	defer db.Close()

	database := sqlprobe.New(db, sqlprobe.Query("SELECT 1 FROM DUAL"))
	defer database.Close()
	fmt.Println(database.Check(context.Background()).Status)
	// Output: ok
}
