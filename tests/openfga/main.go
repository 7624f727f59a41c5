// Answers requests of OpenFGA's service by its own engine and its store in memory: one JSON object a line in, one out.
//
// A line has a method and its request in the JSON of OpenFGA's interface; the answer is the response, or an error
// with its code. The whole server brings every database along, and takes Go an hour, which nothing here needs.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/openfga/openfga/pkg/server"
	"github.com/openfga/openfga/pkg/storage/memory"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type request struct {
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request"`
}

type answer struct {
	Response json.RawMessage `json:"response,omitempty"`
	Code     string          `json:"code,omitempty"`
	Error    string          `json:"error,omitempty"`
}

type handler func(context.Context, json.RawMessage) (proto.Message, error)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	store := memory.New()
	defer store.Close()
	// Neither a time nor a number may cut an answer short: what is missing would look like a difference.
	engine, err := server.NewServerWithOpts(
		server.WithDatastore(store),
		server.WithListUsersDeadline(0),
		server.WithListUsersMaxResults(0),
	)
	if err != nil {
		return err
	}
	defer engine.Close()
	handlers := map[string]handler{
		"CreateStore":             handling(engine.CreateStore),
		"DeleteStore":             handling(engine.DeleteStore),
		"WriteAuthorizationModel": handling(engine.WriteAuthorizationModel),
		"Write":                   handling(engine.Write),
		"ListUsers":               handling(engine.ListUsers),
		"Check":                   handling(engine.Check),
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(answered(handlers, lines.Bytes())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answered(handlers map[string]handler, line []byte) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return refused(err)
	}
	handle, known := handlers[asked.Method]
	if !known {
		return refused(fmt.Errorf("no method %q", asked.Method))
	}
	response, err := handle(context.Background(), asked.Request)
	if err != nil {
		return refused(err)
	}
	content, err := protojson.Marshal(response)
	if err != nil {
		return refused(err)
	}
	return answer{Response: content}
}

func refused(err error) answer {
	return answer{Code: status.Code(err).String(), Error: err.Error()}
}

// handling returns a method of the service with its request and response in JSON. The method itself validates the request.
func handling[Q any, R proto.Message, P interface {
	*Q
	proto.Message
}](method func(context.Context, P) (R, error)) handler {
	return func(ctx context.Context, content json.RawMessage) (proto.Message, error) {
		asked := P(new(Q))
		if err := protojson.Unmarshal(content, asked); err != nil {
			return nil, err
		}
		return method(ctx, asked)
	}
}
