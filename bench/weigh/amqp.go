//go:build amqp

package main

import (
	"github.com/labstack/echo/v4"
	amqp "github.com/rabbitmq/amqp091-go"
)

const broker = "amqp://127.0.0.1/"

func init() {
	parts = append(parts, func(e *echo.Echo) {
		e.GET("/amqp", func(c echo.Context) error {
			conn, err := amqp.Dial(broker)
			if err != nil {
				return err
			}
			channel, err := conn.Channel()
			if err != nil {
				return err
			}
			return channel.PublishWithContext(c.Request().Context(), "", "queue", false, false, amqp.Publishing{})
		})
	})
}
