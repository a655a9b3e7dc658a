package isohttp_test

import (
	"context"
	"fmt"
	"log"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
)

// Serving a view to one BMC.
func ExampleServer() {
	serve := func(ctx context.Context, key []byte, base isohttp.Base, view *iso9660.View, answer []isohttp.Region) error {
		server := &isohttp.Server{OnEvent: func(e isohttp.Event) { log.Println(e.Host, e.Kind, e.Phase) }}
		running, err := server.Start(ctx, isohttp.Listen{HTTP: ":8080"})
		if err != nil {
			return err
		}
		local, err := isohttp.LocalAddress(ctx, "https://10.0.0.7")
		if err != nil {
			return err
		}
		medium, err := server.Publish(isohttp.Medium{
			Host: "db-01", Token: isohttp.Token(key, "db-01", "7f3c2a9b", "1"),
			View: view, Base: base, Regions: answer,
		})
		if err != nil {
			return err
		}
		defer medium.Withdraw()
		url, err := running.URL(medium, "http", local)
		if err != nil {
			return err
		}
		fmt.Println(len(url)) // hand it to the BMC, and follow medium.Progress()
		return running.Wait()
	}
	_ = serve
}
