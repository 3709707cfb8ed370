export async function withServer(use){ await use({url:'http://127.0.0.1:18473',folder:'/tmp/h',password:'picaspot-on-a-laptop'}) }
