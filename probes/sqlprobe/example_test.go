package sqlprobe_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/echo-probes/echohealth/probes/sqlprobe"
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

func ExampleQuery() {
	db := sql.OpenDB(fakeDriver{works, works}) // the application's
	defer db.Close()

	database := sqlprobe.New(db, sqlprobe.Query("SELECT 1 FROM DUAL"))
	defer database.Close()
	fmt.Println(database.Check(context.Background()).Status)
	// Output: ok
}
