package bmctest

import (
	"net/http"
	"strconv"
	"time"
)

const tasksURI = rootURI + "/TaskService"

// startTask begins a task that ends at a given time, and returns the answer
// that announces it (DSP0266 §12).
func (b *BMC) startTask(end time.Time) reply {
	b.tasks++
	id := strconv.Itoa(b.tasks)
	task, monitor := tasksURI+"/Tasks/"+id, tasksURI+"/TaskMonitors/"+id
	body := func() object {
		state := "Running"
		if !time.Now().Before(end) {
			state = "Completed"
		}
		return object{
			"@odata.id": task, "@odata.type": "#Task.v1_4_3.Task", "Id": id, "Name": "Task " + id,
			"TaskState": state, "TaskStatus": "OK", "TaskMonitor": monitor, "Messages": []any{},
		}
	}
	b.routes[task] = &route{get: body}
	b.routes[monitor] = &route{monitor: func() reply {
		if time.Now().Before(end) {
			return reply{status: http.StatusAccepted, body: body(), header: http.Header{"Location": {b.q.TaskHost + monitor}}}
		}
		delete(b.routes, monitor) // a finished monitor is gone once it was read
		return b.shape.done()
	}}
	return reply{status: http.StatusAccepted, body: body(), header: http.Header{"Location": {b.q.TaskHost + monitor}}}
}
