package bus

import (
	"github.com/prometheus/client_golang/prometheus"
)

func registerConn(registerer prometheus.Registerer, state *connState) {
	registerer.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "rosey_bus_connected",
			Help: "1 while the connection to NATS stands.",
		}, func() float64 {
			if state.isConnected() {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "rosey_bus_reconnects_total",
			Help: "How often the connection to NATS came back after it broke.",
		}, func() float64 { return float64(state.reconnects()) }),
	)
}
