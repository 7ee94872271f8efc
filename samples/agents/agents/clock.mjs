// Tells the time over HTTP, on the port Loom chose for it.
import { createServer } from 'node:http';

const port = Number(process.env.LOOM_PORT_HTTP);
const server = createServer((_, answer) => answer.end(new Date().toISOString() + '\n'));
server.listen(port, '127.0.0.1', () => console.log(`listening on port ${port}`));

process.on('SIGTERM', () => {
  console.log('closing');
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
